/// What the routes share: parameters, the error, the shapes of bodies.
let openAPIComponents = #"""
    "components": {
      "parameters": {
        "key": {
          "name": "key",
          "in": "path",
          "required": true,
          "schema": {"type": "string", "minLength": 1},
          "description": "Bytes, percent-encoded; slashes may stand as they are"
        },
        "user": {
          "name": "name",
          "in": "path",
          "required": true,
          "schema": {"type": "string", "pattern": "^[A-Za-z0-9._@-]{1,64}$"}
        },
        "session": {
          "name": "session",
          "in": "path",
          "required": true,
          "schema": {"type": "string", "pattern": "^[0-9]{1,19}$"}
        },
        "consistency": {
          "name": "consistency",
          "in": "query",
          "schema": {"type": "string", "enum": ["linearizable", "lease", "stale"], "default": "linearizable"}
        },
        "ttl": {
          "name": "ttl",
          "in": "query",
          "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,5}(ms|s|m|h|d)$"},
          "description": "Such as 30s"
        },
        "return": {"name": "return", "in": "query", "schema": {"type": "string", "enum": ["previous"]}},
        "ifMatch": {
          "name": "If-Match",
          "in": "header",
          "schema": {"type": "string", "pattern": "^(\"[0-9]{1,19}\"|[*])$"},
          "description": "A version in quotes, or * for any"
        },
        "ifNoneMatch": {"name": "If-None-Match", "in": "header", "schema": {"type": "string", "enum": ["*"]}},
        "kvSession": {"name": "Kv-Session", "in": "header", "schema": {"type": "string", "pattern": "^[0-9]{1,19}$"}},
        "kvSequence": {
          "name": "Kv-Sequence",
          "in": "header",
          "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}(/[0-9]{1,19})?$"},
          "description": "From 1; behind a slash the lowest that the client waits for"
        },
        "idempotencyKey": {
          "name": "Idempotency-Key",
          "in": "header",
          "schema": {"type": "string", "minLength": 1, "maxLength": 255},
          "description": "The same key and request within a day take effect once"
        },
        "redirect": {
          "name": "redirect",
          "in": "query",
          "schema": {"type": "boolean"},
          "description": "307 to the leader instead of being sent on"
        }
      },
      "requestBodies": {
        "Password": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
      },
      "securitySchemes": {
        "basic": {"type": "http", "scheme": "basic"},
        "token": {"type": "http", "scheme": "bearer"}
      },
      "responses": {
        "Error": {
          "description": "An error",
          "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        }
      },
      "schemas": {
        "Error": {
          "type": "object",
          "required": ["code", "message", "retryable", "requestId"],
          "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "retryable": {"type": "boolean"},
            "leader": {"type": "object", "properties": {"id": {"type": "string"}}},
            "condition": {"type": "integer"},
            "operation": {"type": "integer"},
            "requestId": {"type": "string"}
          }
        },
        "NodeID": {
          "description": "A node's number, as text or as a number",
          "anyOf": [
            {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
            {"type": "integer", "minimum": 1, "maximum": 9223372036854775807}
          ]
        },
        "Members": {
          "type": "object",
          "required": ["cluster", "leader", "members"],
          "properties": {
            "cluster": {"type": "string"},
            "leader": {"type": ["string", "null"]},
            "members": {"type": "array", "items": {"type": "object"}}
          }
        },
        "Authentication": {
          "type": "object",
          "required": ["enabled", "requiredByConfiguration", "users", "administrators"],
          "properties": {
            "enabled": {"type": "boolean"},
            "requiredByConfiguration": {"type": "boolean"},
            "users": {"type": "integer"},
            "administrators": {"type": "integer"}
          }
        },
        "Settings": {
          "type": "object",
          "required": ["settings"],
          "properties": {
            "settings": {
              "type": "array",
              "items": {
                "type": "object",
                "required": ["name", "value", "origin", "live"],
                "properties": {
                  "name": {"type": "string"},
                  "value": {"type": ["string", "null"]},
                  "origin": {"type": "string"},
                  "live": {"type": "boolean"}
                }
              }
            }
          }
        },
        "LogLevel": {
          "type": "object",
          "required": ["level"],
          "properties": {"level": {"type": "string"}}
        },
        "Written": {
          "type": "object",
          "required": ["version"],
          "properties": {
            "version": {"type": "string"},
            "expiresAt": {"type": "integer"},
            "previous": {"type": ["string", "null"]},
            "previousUtf8": {"type": "string"}
          }
        },
        "Removed": {
          "type": "object",
          "properties": {"previous": {"type": ["string", "null"]}, "previousUtf8": {"type": "string"}}
        },
        "Page": {
          "type": "object",
          "required": ["items", "hasMore", "cursor"],
          "properties": {
            "items": {
              "type": "array",
              "items": {
                "type": "object",
                "required": ["key", "version"],
                "properties": {
                  "key": {"type": "string"},
                  "keyUtf8": {"type": "string"},
                  "value": {"type": "string"},
                  "valueUtf8": {"type": "string"},
                  "version": {"type": "string"},
                  "expiresAt": {"type": "integer"}
                }
              }
            },
            "hasMore": {"type": "boolean"},
            "cursor": {"type": ["string", "null"]}
          }
        },
        "Batch": {
          "type": "object",
          "additionalProperties": false,
          "description": "Keys and values in base64, or as text under the names with Utf8",
          "properties": {
            "conditions": {
              "type": "array",
              "items": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                  "key": {"type": "string"},
                  "keyUtf8": {"type": "string"},
                  "ifVersion": {"type": "string"},
                  "ifAbsent": {"type": "boolean"},
                  "ifPresent": {"type": "boolean"}
                }
              }
            },
            "operations": {
              "type": "array",
              "items": {
                "type": "object",
                "required": ["op"],
                "additionalProperties": false,
                "properties": {
                  "op": {
                    "type": "string",
                    "enum": ["get", "put", "delete", "increment", "append", "expire"]
                  },
                  "key": {"type": "string"},
                  "keyUtf8": {"type": "string"},
                  "value": {"type": "string"},
                  "valueUtf8": {"type": "string"},
                  "ttl": {"type": "string"},
                  "return": {"type": "string", "enum": ["previous"]},
                  "by": {"type": ["integer", "string"]},
                  "ifVersion": {"type": "string"},
                  "ifAbsent": {"type": "boolean"},
                  "ifPresent": {"type": "boolean"}
                }
              }
            }
          }
        },
        "BatchResults": {
          "type": "object",
          "required": ["results"],
          "properties": {
            "results": {
              "type": "array",
              "items": {
                "type": "object",
                "required": ["op", "version"],
                "properties": {
                  "op": {"type": "string"},
                  "version": {"type": "string"},
                  "found": {"type": "boolean"},
                  "value": {"type": "string"},
                  "valueUtf8": {"type": "string"},
                  "previous": {"type": "string"},
                  "previousUtf8": {"type": "string"},
                  "number": {"type": "integer"},
                  "expiresAt": {"type": "integer"}
                }
              }
            }
          }
        }
      }
    }
    """#
