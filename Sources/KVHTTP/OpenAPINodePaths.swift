/// The routes that show how a node stands.
let openAPINodePaths = #"""
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
    """#

/// The routes for operators.
let openAPIOperatorPaths = #"""
    "/admin/v1/digest": {
      "get": {
        "operationId": "digest",
        "tags": ["administration"],
        "summary": "A hash of every shard's content, to compare replicas",
        "responses": {
          "200": {
            "description": "The hashes of this node's shards",
            "content": {
              "application/json": {
                "schema": {
                  "type": "object",
                  "required": ["digests"],
                  "properties": {
                    "digests": {
                      "type": "array",
                      "items": {
                        "type": "object",
                        "required": ["group", "shard", "appliedIndex", "keys", "hash"],
                        "properties": {
                          "group": {"type": "string"},
                          "shard": {"type": "string"},
                          "appliedIndex": {"type": "integer"},
                          "keys": {"type": "integer"},
                          "hash": {"type": "string"}
                        }
                      }
                    }
                  }
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
    "/admin/v1/log-level": {
      "get": {
        "operationId": "logLevel",
        "tags": ["administration"],
        "summary": "The level of this process's log",
        "responses": {
          "200": {
            "description": "The level",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LogLevel"}}}
          },
          "400": {"$ref": "#/components/responses/Error"}
        }
      },
      "put": {
        "operationId": "setLogLevel",
        "tags": ["administration"],
        "summary": "Changes it until the process ends",
        "parameters": [
          {
            "name": "level",
            "in": "query",
            "required": true,
            "schema": {"type": "string", "enum": ["trace", "debug", "info", "notice", "warning", "error", "critical"]}
          }
        ],
        "responses": {
          "200": {
            "description": "The new level",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LogLevel"}}}
          },
          "400": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/slow-requests": {
      "get": {
        "operationId": "slowRequests",
        "tags": ["administration"],
        "summary": "The newest slow requests of this node, with what each stage took",
        "parameters": [
          {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 128}}
        ],
        "responses": {
          "200": {
            "description": "The requests, newest first",
            "content": {
              "application/json": {
                "schema": {
                  "type": "object",
                  "required": ["slowRequests"],
                  "properties": {"slowRequests": {"type": "array", "items": {"type": "object"}}}
                }
              }
            }
          },
          "400": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/config": {
      "get": {
        "operationId": "settings",
        "tags": ["administration"],
        "summary": "Every setting of this process, with where it comes from",
        "responses": {
          "200": {
            "description": "The settings in the order of config/kvnode.yaml",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Settings"}}}
          },
          "400": {"$ref": "#/components/responses/Error"}
        }
      },
      "put": {
        "operationId": "changeSetting",
        "tags": ["administration"],
        "summary": "Changes a setting that can change, until the process ends",
        "parameters": [
          {"name": "name", "in": "query", "required": true, "schema": {"type": "string"}},
          {"name": "value", "in": "query", "required": true, "schema": {"type": "string"}}
        ],
        "responses": {
          "200": {
            "description": "The setting as it is now",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Settings"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/compact": {
      "post": {
        "operationId": "compact",
        "tags": ["administration"],
        "summary": "Rewrites this node's own tables without what nobody can read any more; answered when that is done",
        "parameters": [
          {"name": "shard", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 4294967295}}
        ],
        "responses": {
          "200": {
            "description": "What each shard took before and takes now",
            "content": {
              "application/json": {
                "schema": {
                  "type": "object",
                  "required": ["shards"],
                  "properties": {"shards": {"type": "array", "items": {"type": "object"}}}
                }
              }
            }
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/snapshots": {
      "post": {
        "operationId": "beginSnapshot",
        "tags": ["administration"],
        "summary": "Cuts all shards for a backup to read; what kvctl snapshot save uses",
        "parameters": [{"name": "fence", "in": "query", "schema": {"type": "boolean"}}],
        "responses": {
          "200": {
            "description": "The snapshot and its files",
            "content": {"application/json": {"schema": {"type": "object", "required": ["id", "groups"]}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/snapshots/{id}": {
      "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
      "get": {
        "operationId": "readSnapshot",
        "tags": ["administration"],
        "summary": "Part of a file of a snapshot, behind its CRC32C",
        "parameters": [
          {"name": "path", "in": "query", "required": true, "schema": {"type": "string"}},
          {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0}},
          {"name": "count", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 8388608}}
        ],
        "responses": {
          "200": {"description": "The bytes", "content": {"application/octet-stream": {"schema": {"type": "string"}}}},
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"}
        }
      },
      "delete": {
        "operationId": "endSnapshot",
        "tags": ["administration"],
        "summary": "Removes a snapshot",
        "responses": {
          "200": {"description": "It is gone", "content": {"application/json": {"schema": {"type": "object"}}}},
          "400": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/log": {
      "get": {
        "operationId": "readLog",
        "tags": ["administration"],
        "summary": "Applied entries of a group's log; what kvctl snapshot log uses",
        "parameters": [
          {"name": "group", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 4294967295}},
          {"name": "from", "in": "query", "required": true, "schema": {"type": "integer", "minimum": 1}},
          {"name": "count", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 8388608}}
        ],
        "responses": {
          "200": {"description": "The entries", "content": {"application/octet-stream": {"schema": {"type": "string"}}}},
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"}
        }
      }
    }
    """#
