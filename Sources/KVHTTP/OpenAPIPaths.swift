/// The routes of keys, in OpenAPI's words.
let openAPIKeyPaths = #"""
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
          "307": {"description": "Another node leads"},
          "404": {"description": "There is no such key"},
          "400": {"description": "The request makes no sense"},
          "429": {"description": "Too many requests wait"},
          "503": {"description": "No leader"},
          "504": {"description": "No answer in time"}
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
    }
    """#

/// The routes of sessions.
let openAPISessionPaths = #"""
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
    }
    """#
