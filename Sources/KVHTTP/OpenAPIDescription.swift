/// What `/openapi.json` answers: the interface for programs, as OpenAPI 3.1 describes one.
///
/// A test holds it against a public validator, and its paths against the routes.
let openAPIDescription = #"""
    {
      "openapi": "3.1.0",
      "info": {
        "title": "kvnode",
        "version": "1",
        "description": "A replicated key-value store. Keys are bytes, percent-decoded once; values are bytes.",
        "license": {"name": "See the repository", "identifier": "Apache-2.0"}
      },
      "servers": [{"url": "/"}],
      "security": [],
      "tags": [{"name": "keys"}, {"name": "sessions"}, {"name": "node"}],
      "paths": {
        "/v1/kv/{key}": {
          "parameters": [{"$ref": "#/components/parameters/key"}],
          "get": {
            "operationId": "getKey",
            "tags": ["keys"],
            "summary": "Reads a value",
            "parameters": [
              {"$ref": "#/components/parameters/consistency"},
              {"$ref": "#/components/parameters/redirect"},
              {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}
            ],
            "responses": {
              "200": {
                "description": "The value",
                "headers": {"ETag": {"description": "The key's version in quotes", "schema": {"type": "string"}}},
                "content": {"application/octet-stream": {"schema": {}}}
              },
              "304": {"description": "The version is the known one"},
              "307": {"$ref": "#/components/responses/Error"},
              "400": {"$ref": "#/components/responses/Error"},
              "404": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"}
            }
          },
          "head": {
            "operationId": "headKey",
            "tags": ["keys"],
            "summary": "Reads length and version",
            "parameters": [
              {"$ref": "#/components/parameters/consistency"},
              {"$ref": "#/components/parameters/redirect"}
            ],
            "responses": {
              "200": {
                "description": "The key is there",
                "headers": {"ETag": {"description": "The key's version in quotes", "schema": {"type": "string"}}}
              },
              "404": {"description": "There is no such key"},
              "400": {"description": "The request makes no sense"},
              "503": {"description": "No leader"}
            }
          },
          "put": {
            "operationId": "putKey",
            "tags": ["keys"],
            "summary": "Writes a value",
            "parameters": [
              {"$ref": "#/components/parameters/ttl"},
              {"$ref": "#/components/parameters/return"},
              {"$ref": "#/components/parameters/ifMatch"},
              {"$ref": "#/components/parameters/ifNoneMatch"},
              {"$ref": "#/components/parameters/kvSession"},
              {"$ref": "#/components/parameters/kvSequence"},
              {"$ref": "#/components/parameters/idempotencyKey"},
              {"$ref": "#/components/parameters/redirect"}
            ],
            "requestBody": {"required": true, "content": {"application/octet-stream": {"schema": {}}}},
            "responses": {
              "200": {
                "description": "Written",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Written"}}},
                "headers": {"ETag": {"description": "The key's version in quotes", "schema": {"type": "string"}}}
              },
              "201": {
                "description": "Written, and known to be new",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Written"}}},
                "headers": {"ETag": {"description": "The key's version in quotes", "schema": {"type": "string"}}}
              },
              "307": {"$ref": "#/components/responses/Error"},
              "408": {"$ref": "#/components/responses/Error"},
              "411": {"$ref": "#/components/responses/Error"},
              "400": {"$ref": "#/components/responses/Error"},
              "409": {"$ref": "#/components/responses/Error"},
              "412": {"$ref": "#/components/responses/Error"},
              "413": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"},
              "507": {"$ref": "#/components/responses/Error"}
            }
          },
          "delete": {
            "operationId": "deleteKey",
            "tags": ["keys"],
            "summary": "Removes a key",
            "parameters": [
              {"$ref": "#/components/parameters/return"},
              {"$ref": "#/components/parameters/ifMatch"},
              {"name": "must_exist", "in": "query", "schema": {"type": "boolean"}},
              {"$ref": "#/components/parameters/kvSession"},
              {"$ref": "#/components/parameters/kvSequence"},
              {"$ref": "#/components/parameters/idempotencyKey"},
              {"$ref": "#/components/parameters/redirect"}
            ],
            "responses": {
              "200": {
                "description": "Removed; the value from before",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Removed"}}}
              },
              "204": {"description": "Removed, or was not there"},
              "307": {"$ref": "#/components/responses/Error"},
              "404": {"$ref": "#/components/responses/Error"},
              "400": {"$ref": "#/components/responses/Error"},
              "409": {"$ref": "#/components/responses/Error"},
              "412": {"$ref": "#/components/responses/Error"},
              "413": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"},
              "507": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/v1/kv/{key}/increment": {
          "parameters": [{"$ref": "#/components/parameters/key"}],
          "post": {
            "operationId": "incrementKey",
            "tags": ["keys"],
            "summary": "Adds to a whole number",
            "parameters": [
              {
                "name": "by",
                "in": "query",
                "schema": {"type": "integer", "format": "int64", "default": 1}
              },
              {"$ref": "#/components/parameters/kvSession"},
              {"$ref": "#/components/parameters/kvSequence"},
              {"$ref": "#/components/parameters/idempotencyKey"},
              {"$ref": "#/components/parameters/redirect"}
            ],
            "responses": {
              "200": {
                "description": "The sum",
                "content": {
                  "application/json": {
                    "schema": {
                      "type": "object",
                      "required": ["value", "version"],
                      "properties": {"value": {"type": "integer", "format": "int64"}, "version": {"type": "string"}}
                    }
                  }
                },
                "headers": {"ETag": {"description": "The key's version in quotes", "schema": {"type": "string"}}}
              },
              "307": {"$ref": "#/components/responses/Error"},
              "400": {"$ref": "#/components/responses/Error"},
              "409": {"$ref": "#/components/responses/Error"},
              "412": {"$ref": "#/components/responses/Error"},
              "413": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"},
              "507": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/v1/kv": {
          "get": {
            "operationId": "listKeys",
            "tags": ["keys"],
            "summary": "Lists keys in order, page by page",
            "parameters": [
              {"name": "prefix", "in": "query", "schema": {"type": "string"}},
              {"name": "start", "in": "query", "schema": {"type": "string"}},
              {"name": "end", "in": "query", "schema": {"type": "string"}},
              {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 10000}
              },
              {"name": "cursor", "in": "query", "schema": {"type": "string"}},
              {"name": "keys_only", "in": "query", "schema": {"type": "boolean"}},
              {"name": "reverse", "in": "query", "schema": {"type": "boolean"}},
              {"$ref": "#/components/parameters/consistency"}
            ],
            "responses": {
              "200": {
                "description": "A page",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}
              },
              "400": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/v1/batch": {
          "post": {
            "operationId": "batch",
            "tags": ["keys"],
            "summary": "Does several operations on keys of one slot, all or none",
            "parameters": [
              {"$ref": "#/components/parameters/kvSession"},
              {"$ref": "#/components/parameters/kvSequence"},
              {"$ref": "#/components/parameters/idempotencyKey"},
              {"$ref": "#/components/parameters/redirect"}
            ],
            "requestBody": {
              "required": true,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Batch"}}}
            },
            "responses": {
              "200": {
                "description": "All of it was done",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BatchResults"}}}
              },
              "307": {"$ref": "#/components/responses/Error"},
              "408": {"$ref": "#/components/responses/Error"},
              "411": {"$ref": "#/components/responses/Error"},
              "400": {"$ref": "#/components/responses/Error"},
              "409": {"$ref": "#/components/responses/Error"},
              "412": {"$ref": "#/components/responses/Error"},
              "413": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"},
              "507": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/v1/session": {
          "post": {
            "operationId": "openSession",
            "tags": ["sessions"],
            "summary": "Opens a session, in which a retried write takes effect once",
            "parameters": [{"$ref": "#/components/parameters/ttl"}],
            "responses": {
              "201": {
                "description": "The session",
                "content": {
                  "application/json": {
                    "schema": {
                      "type": "object",
                      "required": ["session", "ttlMilliseconds"],
                      "properties": {"session": {"type": "string"}, "ttlMilliseconds": {"type": "integer"}}
                    }
                  }
                }
              },
              "400": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/v1/session/{session}": {
          "parameters": [{"$ref": "#/components/parameters/session"}],
          "delete": {
            "operationId": "endSession",
            "tags": ["sessions"],
            "summary": "Ends a session",
            "responses": {
              "204": {"description": "Ended"},
              "400": {"$ref": "#/components/responses/Error"},
              "404": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/v1/session/{session}/keep": {
          "parameters": [{"$ref": "#/components/parameters/session"}],
          "post": {
            "operationId": "keepSession",
            "tags": ["sessions"],
            "summary": "Keeps a session from expiring",
            "responses": {
              "204": {"description": "Kept"},
              "400": {"$ref": "#/components/responses/Error"},
              "404": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/status": {
          "get": {
            "operationId": "status",
            "tags": ["node"],
            "summary": "How this node stands",
            "responses": {
              "200": {
                "description": "The standing",
                "content": {"application/json": {"schema": {"type": "object"}}}
              },
              "400": {"$ref": "#/components/responses/Error"}
            }
          }
        },
        "/livez": {
          "get": {
            "operationId": "livez",
            "tags": ["node"],
            "summary": "Whether the process runs",
            "responses": {
              "200": {"description": "It does", "content": {"text/plain": {"schema": {"type": "string"}}}}
            }
          }
        },
        "/readyz": {
          "get": {
            "operationId": "readyz",
            "tags": ["node"],
            "summary": "Whether the node serves",
            "responses": {
              "200": {
                "description": "It does",
                "content": {"application/json": {"schema": {"type": "object"}}}
              },
              "503": {
                "description": "It does not; why",
                "content": {"application/json": {"schema": {"type": "object"}}}
              }
            }
          }
        },
        "/healthz": {
          "get": {
            "operationId": "healthz",
            "tags": ["node"],
            "summary": "The same as /readyz",
            "responses": {
              "200": {
                "description": "It does",
                "content": {"application/json": {"schema": {"type": "object"}}}
              },
              "503": {
                "description": "It does not; why",
                "content": {"application/json": {"schema": {"type": "object"}}}
              }
            }
          }
        },
        "/metrics": {
          "get": {
            "operationId": "metrics",
            "tags": ["node"],
            "summary": "Metrics for Prometheus",
            "responses": {
              "200": {"description": "The metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
            }
          }
        },
        "/openapi.json": {
          "get": {
            "operationId": "openapi",
            "tags": ["node"],
            "summary": "This description",
            "responses": {
              "200": {
                "description": "This description",
                "content": {"application/json": {"schema": {"type": "object"}}}
              },
              "400": {"$ref": "#/components/responses/Error"}
            }
          }
        }
      },
      "components": {
        "parameters": {
          "key": {
            "name": "key",
            "in": "path",
            "required": true,
            "schema": {"type": "string", "minLength": 1},
            "description": "Bytes, percent-encoded; slashes may stand as they are"
          },
          "session": {
            "name": "session",
            "in": "path",
            "required": true,
            "schema": {"type": "string", "pattern": "^[0-9]+$"}
          },
          "consistency": {
            "name": "consistency",
            "in": "query",
            "schema": {"type": "string", "enum": ["linearizable", "lease", "stale"], "default": "linearizable"}
          },
          "ttl": {
            "name": "ttl",
            "in": "query",
            "schema": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"},
            "description": "Such as 30s"
          },
          "return": {"name": "return", "in": "query", "schema": {"type": "string", "enum": ["previous"]}},
          "ifMatch": {
            "name": "If-Match",
            "in": "header",
            "schema": {"type": "string"},
            "description": "A version in quotes, or * for any"
          },
          "ifNoneMatch": {"name": "If-None-Match", "in": "header", "schema": {"type": "string", "enum": ["*"]}},
          "kvSession": {"name": "Kv-Session", "in": "header", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
          "kvSequence": {
            "name": "Kv-Sequence",
            "in": "header",
            "schema": {"type": "string", "pattern": "^[0-9]+(/[0-9]+)?$"},
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
    }
    """#
