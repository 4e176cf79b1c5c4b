import KVHistoryClient

// The clients of these tests, which the chaos runs use as well.

typealias Socket = KVHistoryClient.Socket
typealias RESPConnection = KVHistoryClient.RESPConnection
typealias HistoryClient = KVHistoryClient.HistoryClient
