/// The routes for users and authentication.
let openAPIUserPaths = """
    "/admin/v1/auth": {
      "get": {
        "operationId": "authentication",
        "tags": ["administration"],
        "summary": "Whether clients must prove who they are",
        "responses": {
          "200": {
            "description": "Whether they must",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Authentication"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"}
        }
      },
      "put": {
        "operationId": "setAuthentication",
        "tags": ["administration"],
        "summary": "Turns it on, which needs an administrator with a password or token, or off",
        "parameters": [{"name": "enabled", "in": "query", "required": true, "schema": {"type": "boolean"}}],
        "responses": {
          "200": {
            "description": "Whether they must from now on",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Authentication"}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/Error"},
          "503": {"$ref": "#/components/responses/Error"},
          "504": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/users": {
      "get": {
        "operationId": "users",
        "tags": ["administration"],
        "summary": "Users with their rights and the ids of their tokens; no secrets",
        "responses": {
          "200": {
            "description": "The users",
            "content": {"application/json": {"schema": {"type": "object", "required": ["enabled", "users"]}}}
          },
          "400": {"$ref": "#/components/responses/Error"},
          "404": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/admin/v1/users/{name}": {
      "parameters": [{"$ref": "#/components/parameters/user"}],
      "put": {
        "operationId": "addUser",
        "tags": ["administration"],
        "summary": "Makes a user; the body is its password, or empty for none",
        "parameters": [{"name": "admin", "in": "query", "schema": {"type": "boolean"}}],
        "requestBody": {"$ref": "#/components/requestBodies/Password"},
        "responses": {
          "201": {"description": "It is made"},
          \(userOutcomes)
        }
      },
      "delete": {
        "operationId": "removeUser",
        "tags": ["administration"],
        "summary": "Removes a user with its tokens",
        "responses": {
          "204": {"description": "It is gone"},
          \(userOutcomes)
        }
      }
    },
    "/admin/v1/users/{name}/password": {
      "parameters": [{"$ref": "#/components/parameters/user"}],
      "put": {
        "operationId": "setPassword",
        "tags": ["administration"],
        "summary": "Changes a password; a user may change its own",
        "requestBody": {"$ref": "#/components/requestBodies/Password"},
        "responses": {
          "204": {"description": "It is changed"},
          \(userOutcomes)
        }
      }
    },
    "/admin/v1/users/{name}/admin": {
      "parameters": [{"$ref": "#/components/parameters/user"}],
      "put": {
        "operationId": "setAdministrator",
        "tags": ["administration"],
        "summary": "Makes a user an administrator, or no longer",
        "parameters": [{"name": "is", "in": "query", "required": true, "schema": {"type": "boolean"}}],
        "responses": {
          "204": {"description": "It is so"},
          \(userOutcomes)
        }
      }
    },
    "/admin/v1/users/{name}/grants": {
      "parameters": [
        {"$ref": "#/components/parameters/user"},
        {"name": "prefix", "in": "query", "required": true, "schema": {"type": "string"}}
      ],
      "put": {
        "operationId": "grant",
        "tags": ["administration"],
        "summary": "Lets a user read or write the keys that start with a prefix",
        "parameters": [
          {"name": "permissions", "in": "query", "required": true, "schema": {"type": "string", "enum": ["r", "w", "rw"]}}
        ],
        "responses": {
          "204": {"description": "It may"},
          \(userOutcomes)
        }
      },
      "delete": {
        "operationId": "revoke",
        "tags": ["administration"],
        "summary": "Takes what was granted for exactly this prefix",
        "responses": {
          "204": {"description": "It may no longer"},
          \(userOutcomes)
        }
      }
    },
    "/admin/v1/users/{name}/tokens": {
      "parameters": [{"$ref": "#/components/parameters/user"}],
      "post": {
        "operationId": "addToken",
        "tags": ["administration"],
        "summary": "Makes a token for programs, which is shown this once",
        "responses": {
          "201": {
            "description": "The token",
            "content": {"application/json": {"schema": {"type": "object", "required": ["id", "token"]}}}
          },
          \(userOutcomes)
        }
      }
    },
    "/admin/v1/users/{name}/tokens/{token}": {
      "parameters": [
        {"$ref": "#/components/parameters/user"},
        {"name": "token", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[0-9a-f]{1,16}$"}}
      ],
      "delete": {
        "operationId": "removeToken",
        "tags": ["administration"],
        "summary": "Removes a token by its id",
        "responses": {
          "204": {"description": "It is gone"},
          \(userOutcomes)
        }
      }
    }
    """

/// What changes of users are answered where they are not made.
private let userOutcomes = """
    "400": {"$ref": "#/components/responses/Error"},
              "404": {"$ref": "#/components/responses/Error"},
              "409": {"$ref": "#/components/responses/Error"},
              "413": {"$ref": "#/components/responses/Error"},
              "429": {"$ref": "#/components/responses/Error"},
              "503": {"$ref": "#/components/responses/Error"},
              "504": {"$ref": "#/components/responses/Error"}
    """
