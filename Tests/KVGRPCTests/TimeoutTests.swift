import NIOCore
import Testing

@testable import KVGRPC

@Suite struct TimeoutTests {
    @Test(arguments: [
        ("5S", TimeAmount.seconds(5)), ("0n", .nanoseconds(0)), ("99999999m", .milliseconds(99_999_999)),
        ("00000001u", .microseconds(1)), ("2M", .minutes(2)), ("99999999H", .hours(24)), ("99999999M", .hours(24)),
    ])
    func `a timeout is up to eight digits and a unit`(_ text: String, _ amount: TimeAmount) {
        #expect(GRPCTimeout(text)?.amount == amount)
    }

    @Test(arguments: [
        "", "S", "5", "-5S", "+5S", "123456789S", "5X", "5s", " 5S", "5 S", "1e3m", "\u{663}S", "5\u{301}S",
    ])
    func `nothing else is one`(_ text: String) { #expect(GRPCTimeout(text) == nil) }
}
