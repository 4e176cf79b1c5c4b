import KVBase
import KVConfiguration
import KVReplication
import NIOCore

@testable import KVPeer
@testable import KVRESP

/// What comes over sockets, and the configuration file.
enum NetworkTargets {
    static let all = [
        FuzzTarget(name: "resp", seeds: NetworkSeeds.requests) { readRequests($0) },
        FuzzTarget(name: "peer-frame", seeds: NetworkSeeds.frames) { readFrames($0) },
        FuzzTarget(name: "peer-message", seeds: NetworkSeeds.envelopes) { readEnvelope($0) },
        FuzzTarget(name: "yaml", seeds: NetworkSeeds.configurations) { readConfiguration($0) },
    ]

    // MARK: RESP

    private struct Parsed: Equatable {
        var commands: [[[UInt8]]] = []
        var problem: String?
    }

    /// A stream reads the same whole and cut; the first byte says where it is cut.
    static func readRequests(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        let stream = Array(bytes[1...])
        let whole = parse(stream, arriving: [stream.count])
        let cut = parse(
            stream,
            arriving: stride(from: 1 + Int(first) % 7, to: stream.count, by: 1 + Int(first) % 5) + [stream.count]
        )
        require(whole == cut, "\(whole) whole, \(cut) in pieces")
    }

    private static func parse(_ stream: [UInt8], arriving ends: some Sequence<Int>) -> Parsed {
        var settings = RESPSettings(node: NodeID(1), softwareVersion: "0") { 0 }
        settings.inlineBytesMax = 64
        settings.argumentsMax = 64
        settings.commandBytesMax = 4096
        var parser = RequestParser(settings, valueBytesMax: 1024)
        var parsed = Parsed()
        var start = 0
        for end in ends {
            while start < end {
                let step = stream.withUnsafeBytes { parser.parse(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
                switch step {
                case .incomplete: break
                case .malformed(let text):
                    parsed.problem = text
                    return parsed
                case .command(let size):
                    require(size > 0 && start + size <= end, "a command of \(size) bytes in \(end - start)")
                    let bytes = stream[start..<(start + size)]
                    parsed.commands.append(
                        parser.ranges.map { range in
                            let from = bytes.startIndex + Int(range.offset)
                            return Array(bytes[from..<(from + Int(range.count))])
                        }
                    )
                    start += size
                    parser.reset()
                    continue
                case .inlineCommand(let size):
                    require(size > 0 && start + size <= end, "a command of \(size) bytes in \(end - start)")
                    let inline = parser.inlineBytes
                    parsed.commands.append(
                        parser.ranges.map { Array(inline[Int($0.offset)..<Int($0.offset + $0.count)]) }
                    )
                    start += size
                    parser.reset()
                    continue
                }
                break
            }
        }
        return parsed
    }

    // MARK: Peers

    /// The input is the stream, magic and all.
    static func readFrames(_ bytes: UnsafeRawBufferPointer) {
        var decoder = PeerFrameDecoder()
        decoder.frameBytesMax = 1 << 16
        var buffer = ByteBuffer(bytes: bytes)
        while let frame = try? decoder.next(&buffer) { consume(try? PeerMessage.decode(frame)) }
    }

    /// The input is an envelope and what follows it, in a frame whose lengths and checksum are right.
    static func readEnvelope(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let serialized = input.piece()
        let payload = input.remainder()
        guard let envelope = try? WireEnvelope(serializedBytes: serialized) else { return }
        var buffer = ByteBuffer()
        PeerFrameEncoder.encodeMagic(into: &buffer)
        guard (try? PeerFrameEncoder.encode(envelope, payloads: [payload], into: &buffer)) != nil else { return }
        var decoder = PeerFrameDecoder()
        decoder.frameBytesMax = 1 << 20
        guard let frame = try? decoder.next(&buffer) else { return }
        guard let messages = try? PeerMessage.decode(frame) else { return }
        // What was understood is sent on as what it was.
        var again = WireEnvelope()
        var payloads: [[UInt8]] = []
        for message in messages { again.messages.append(message.wire(payloads: &payloads)) }
        var second = ByteBuffer()
        PeerFrameEncoder.encodeMagic(into: &second)
        guard (try? PeerFrameEncoder.encode(again, payloads: payloads, into: &second)) != nil else { return }
        var reader = PeerFrameDecoder()
        reader.frameBytesMax = 1 << 21
        guard let copy = try? reader.next(&second), let copies = try? PeerMessage.decode(copy) else {
            preconditionFailure("messages that were read do not read again")
        }
        require(copies == messages, "messages differ after another journey")
    }

    // MARK: Configuration

    /// The input is the file.
    static func readConfiguration(_ bytes: UnsafeRawBufferPointer) {
        do throws(ConfigurationError) {
            consume(
                try ConfigurationLoader.load(.init(file: ("f.yaml", Array(bytes)), environment: [:], flags: []))
            )
        } catch {
            require(!error.problems.isEmpty, "a refusal without a problem")
            consume(error.problems.map(\.description))
        }
    }
}
