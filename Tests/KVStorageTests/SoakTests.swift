import KVSimulation
import Testing

@testable import KVStorage

/// Random faults of every kind, random crashes, many lives of one tablet.
struct SoakTests {
    @Test(arguments: UInt64(1)...16)
    func `through random faults and crashes a tablet stays an exact prefix of what was written`(_ seed: UInt64) throws {
        let hasLog = seed % 4 == 0
        let harness = try TabletHarness(seed: seed) {
            $0.sealedHardMax = 6
            if hasLog {
                $0.durability = .log(synchronizes: true)
                $0.logSegmentBytes = 8 << 10
            }
        }
        let randomness = harness.randomness
        for life in 0..<12 {
            harness.disk.faults.errorProbability = [0, 0.005, 0.05][randomness.below(3)]
            harness.disk.faults.synchronizeErrorProbability = [0, 0.01, 0.1][randomness.below(3)]
            harness.disk.faults.shortReadProbability = 0.1
            harness.disk.faults.reason = randomness.below(2) == 0 ? .inputOutput : .noSpace
            var held: [(Snapshot, [[UInt8]: [UInt8]])] = []
            for _ in 0..<randomness.below(150) {
                do { try harness.writeRandomly(keyCount: 80) } catch {}
                switch randomness.below(12) {
                case 0, 1: harness.run()
                case 2: for _ in 0..<randomness.below(4) { _ = harness.world.step() }
                case 3: harness.tablet.flush()
                case 4:
                    harness.world.run(until: harness.world.now + 2_000_000_000)
                    harness.tablet.maintain()
                case 5: held.append((harness.tablet.snapshot(), harness.model))
                case 6: held = Array(held.dropFirst())
                default: break
                }
            }
            harness.disk.faults.errorProbability = 0
            harness.disk.faults.synchronizeErrorProbability = 0
            #expect(try harness.contents() == harness.model, "life \(life)")
            for (snapshot, model) in held { #expect(try harness.contents(snapshot) == model, "life \(life)") }
            held = []
            let durable = harness.durable.index
            let written = harness.history.count - 1
            let model = harness.model
            harness.stop()
            harness.disk.crash(CrashSurvival.allCases[randomness.below(3)])
            if hasLog {
                let index = Int(try harness.openAndLook().mark.appliedIndex)
                // A write whose sync failed was refused, and may be there all the same.
                #expect(index >= written, "life \(life)")
                if index == written { #expect(try harness.contents() == model, "life \(life)") }
                harness.stop()
            }
            try harness.reopen()
            #expect(harness.tablet.mark.appliedIndex >= durable, "life \(life)")
            #expect(try harness.contents() == harness.model, "life \(life)")
            #expect(TabletInspection.verify(harness.disk, "t").findings == [], "life \(life)")
        }
    }
}
