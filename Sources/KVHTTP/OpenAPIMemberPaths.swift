/// The routes that change who belongs to the cluster and who leads.
let openAPIMemberPaths = #"""
    "/admin/v1/members": {
      "get": {
        "operationId": "members",
        "tags": ["administration"],
        "summary": "Who belongs to the cluster, as this node knows it",
        "responses": {
          "200": {
            "description": "The members",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Members"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "413": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      },
      "post": {
        "operationId": "addMember",
        "tags": ["administration"],
        "summary": "Adds a node",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "type": "object",
                "additionalProperties": false,
                "required": ["id", "peer"],
                "properties": {
                  "id": {"$ref": "#/components/schemas/NodeID"},
                  "peer": {"type": "string", "minLength": 1, "description": "host:port"},
                  "role": {"type": "string", "enum": ["voter", "learner"], "default": "voter"}
                }
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "The change is written down, and GET shows how far it is; or `changed` is false: it was so already",
            "content": {"application/json": {"schema": {"type": "object"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "413": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/members/{id}": {
      "parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/NodeID"}}
      ],
      "delete": {
        "operationId": "removeMember",
        "tags": ["administration"],
        "summary": "Removes a node",
        "responses": {
          "202": {
            "description": "The change is written down, and GET shows how far it is; or `changed` is false: it was so already",
            "content": {"application/json": {"schema": {"type": "object"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "413": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/members/{id}/promote": {
      "parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/NodeID"}}
      ],
      "post": {
        "operationId": "promoteMember",
        "tags": ["administration"],
        "summary": "Makes a learner a voter",
        "responses": {
          "202": {
            "description": "The change is written down, and GET shows how far it is; or `changed` is false: it was so already",
            "content": {"application/json": {"schema": {"type": "object"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "413": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/members/{id}/replace": {
      "parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/NodeID"}}
      ],
      "post": {
        "operationId": "replaceMember",
        "tags": ["administration"],
        "summary": "Another node takes its place",
        "requestBody": {
          "required": true,
          "content": {
            "application/json": {
              "schema": {
                "type": "object",
                "additionalProperties": false,
                "required": ["by", "peer"],
                "properties": {
                  "by": {"$ref": "#/components/schemas/NodeID"},
                  "peer": {"type": "string", "minLength": 1, "description": "host:port"}
                }
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "The change is written down, and GET shows how far it is; or `changed` is false: it was so already",
            "content": {"application/json": {"schema": {"type": "object"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "413": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/leadership": {
      "post": {
        "operationId": "transferLeadership",
        "tags": ["administration"],
        "summary": "Hands over what this node leads",
        "requestBody": {
          "required": false,
          "content": {
            "application/json": {
              "schema": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                  "group": {"type": ["string", "integer"]},
                  "to": {"$ref": "#/components/schemas/NodeID"}
                }
              }
            }
          }
        },
        "responses": {
          "200": {
            "description": "What was handed over to whom",
            "content": {"application/json": {"schema": {"type": "object"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "413": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/stop": {
      "post": {
        "operationId": "stopNode",
        "tags": ["administration"],
        "summary": "Stops this node",
        "requestBody": {
          "required": false,
          "content": {
            "application/json": {
              "schema": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                  "force": {"type": "boolean", "default": false}
                }
              }
            }
          }
        },
        "responses": {
          "202": {
            "description": "The node stops",
            "content": {"application/json": {"schema": {"type": "object"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "413": {"$ref": "#/components/responses/Error"},
          "429": {"$ref": "#/components/responses/Error"},
          "500": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      }
    }
    """#
