// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import AditWire
import Testing

@Suite("Packets in batches")
struct PathBatchTests {
    /// Packets of A that say which they are.
    private static let batch: PacketBatch = {
        var bytes: [UInt8] = []
        for index in 0..<40 { bytes += [0xAD, UInt8(index)] + [UInt8](repeating: 7, count: 1198) }
        return PacketBatch(bytes: bytes + [0xAD, 40, 1], segmentSize: 1200)
    }()

    @Test(
        "They come through every kind of path, each for itself",
        arguments: [
            ("port", "port", PathKind.direct(.udp)), ("udp=blocked,tcp=port", "port", .direct(.tcp)),
            ("sym", "sym", .relayed(.udp)), ("udp=blocked,tcp=sym", "port", .relayed(.tcp)),
        ]
    )
    func everyPath(a: String, b: String, kind: PathKind) throws {
        var play = PathPlay(try PathScenario(a, b))
        play.linger = .seconds(40)
        var heard: [UInt8] = []
        let outcome = try play.run(seed: LabSeed(4)) { stage, isOver in
            guard !isOver else { return }
            stage.onEvent = { event, site in
                guard site == .b, case .received(let batch, _) = event else { return }
                heard += batch.packets.filter { $0.count > 3 || $0.count == 3 && $0[1] == 40 }.map { $0[1] }
            }
            stage.lab.after(PathPlay.preparation + .seconds(20)) {
                let sending = stage.finders[.a]?.update {
                    $0.send(Self.batch, to: PathStage.device(.b), at: stage.lab.now)
                }
                #expect(sending == .sent)
            }
        }
        #expect(outcome.kind == kind)
        #expect(heard.sorted() == (0...40).map { UInt8($0) })
    }

    @Test("A check among payload finds its way, and what stands around it stays together")
    func checkAmongPayload() throws {
        var play = PathPlay(try PathScenario("port", "port"))
        play.linger = .seconds(10)
        var counts: [Int] = []
        var check: [UInt8] = []
        let id = STUNTransactionID(high: 1, low: 1)
        STUNMessage(.request, .binding, transactionID: id, attributes: [.padding(1176)]).encode(into: &check)
        #expect(check.count == 1200)
        let payload = [UInt8](repeating: 0xAD, count: 1200)
        _ = try play.run(seed: LabSeed(4)) { stage, isOver in
            guard !isOver else { return }
            stage.lab.after(PathPlay.preparation + .seconds(5)) {
                guard let finder = stage.finders[.b],
                    let report = finder.machine.report(of: PathStage.device(.a)), let remote = report.remoteEndpoint
                else { return }
                stage.onEvent = { event, site in
                    if site == .b, case .received(let batch, _) = event { counts.append(batch.count) }
                }
                let mixed = PacketBatch(bytes: payload + payload + check + payload, segmentSize: 1200)
                finder.update {
                    $0.handle(.receivedBatch(SocketID(1), mixed, from: remote), at: stage.lab.now)
                    // From a stranger nothing is taken.
                    $0.handle(
                        .receivedBatch(SocketID(1), mixed, from: IPEndpoint(.v4(0x0102_0304), 5)),
                        at: stage.lab.now
                    )
                }
            }
        }
        #expect(counts == [2, 1])
    }
}
