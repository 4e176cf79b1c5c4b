import Testing

@testable import kvctl

@Suite struct `what a debug bundle leaves out of logs` {
    @Test(arguments: [
        #"{"password": "open sesame"}"#, #"{"password":"open sesame"}"#, "password = sesame", "password: sesame",
        "user=a,password=sesame,b=c", "KVCTL_PASSWORD=sesame kvctl status", "http://root:sesame@kv1:8080/v1/kv/k",
        "Authorization: Basic c2VzYW1lOnNlc2FtZQ==", "authorization=Bearer c2VzYW1lc2VzYW1l", "kv1.sesame.c2VzYW1l",
        "--password sesame", "the token sesame was refused", #"{"secret":'sesame'}"#, #"{"token":"a\"sesame"}"#,
        "sent Bearer c2VzYW1lc2VzYW1l to it",
    ])
    func `secrets, however they are written`(_ line: String) {
        let left = Secrets.blotted(line)
        #expect(!left.contains("sesame") && !left.contains("c2Vz"), "\(left)")
        #expect(left.contains("(removed)"))
    }

    @Test(arguments: [
        "2026-11-21T10:00:00Z info a write took 12 ms", "http://kv1:8080/v1/kv/k was asked", "", "a=b, c: d \"e\"",
    ])
    func `nothing else`(_ line: String) { #expect(Secrets.blotted(line) == line) }

    @Test func `the lines around stay`() {
        #expect(Secrets.blotted("one\npassword=x\n\nthree") == "one\npassword=(removed)\n\nthree")
    }
}
