import Glibc

/// Bytes on their way to or from a socket: what is there is contiguous, and memory grows as needed.
///
/// SAFETY: `memory` has `capacity` bytes, of which `start ..< end` are filled; pointers into it are only handed to closures and to
/// calls that end before the next change.
final class ByteQueue {
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    private var start = 0
    private var end = 0

    init(capacity: Int = 16 << 10) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { memory.deallocate() }

    var count: Int { end - start }

    /// What is there; valid until the next call of anything else.
    @inline(__always)
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + start, count: end - start) }

    /// Forgets everything.
    func clear() {
        start = 0
        end = 0
    }

    /// Drops bytes from the front.
    @inline(__always)
    func consume(_ count: Int) {
        precondition(count <= end - start, "\(count) of \(end - start) bytes")
        start += count
        if start == end { clear() }
    }

    @inline(__always)
    func append(_ source: UnsafeRawBufferPointer) {
        guard let base = source.baseAddress else { return }
        makeRoom(source.count)
        (memory + end).copyMemory(from: base, byteCount: source.count)
        end += source.count
    }

    @inline(__always)
    func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A number in decimal, with zeros in front up to `width`.
    func append(decimal number: UInt64, width: Int = 1) {
        var rest = number
        var digits = 1
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        let count = max(width, digits)
        makeRoom(count)
        rest = number
        for place in stride(from: end + count - 1, through: end, by: -1) {
            memory.storeBytes(of: UInt8(ascii: "0") + UInt8(rest % 10), toByteOffset: place, as: UInt8.self)
            rest /= 10
        }
        end += count
    }

    /// What became of a call on a socket.
    enum Transfer {
        case moved(Int)
        case wouldBlock
        case ended
    }

    /// Reads once from a socket.
    func read(_ descriptor: Int32) -> Transfer {
        makeRoom(64 << 10)
        let count = Glibc.read(descriptor, memory + end, capacity - end)
        if count > 0 {
            end += count
            return .moved(count)
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return .wouldBlock }
        return .ended
    }

    /// Writes as much as a socket takes.
    func write(_ descriptor: Int32) -> Transfer {
        guard count > 0 else { return .moved(0) }
        let written = send(descriptor, memory + start, count, Int32(MSG_NOSIGNAL))
        if written > 0 {
            consume(written)
            return .moved(written)
        }
        if written < 0, errno == EAGAIN || errno == EINTR { return .wouldBlock }
        return .ended
    }

    @inline(__always)
    private func makeRoom(_ count: Int) {
        if capacity - end < count { grow(count) }
    }

    private func grow(_ count: Int) {
        let filled = end - start
        if start > 0, capacity - filled >= count, filled <= capacity / 2 {
            memory.copyMemory(from: memory + start, byteCount: filled)
        } else {
            capacity = max(capacity * 2, filled + count)
            let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            larger.copyMemory(from: memory + start, byteCount: filled)
            memory.deallocate()
            memory = larger
        }
        start = 0
        end = filled
    }
}
