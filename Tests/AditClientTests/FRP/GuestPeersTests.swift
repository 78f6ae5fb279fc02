// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOCore
import NIOEmbedded
import Testing

@testable import AditClient

@Suite struct GuestPeersTests {
    /// Answers nobody, and notes whom it is asked for.
    private final class Below: ServicePeers {
        var asked: [String] = []
        var hearers: [(Result<ServicePeer, AditError>) -> Void] = []

        func connect(_ device: String, service: String, hear: @escaping (Result<ServicePeer, AditError>) -> Void) {
            asked.append("\(device)/\(service)")
            hearers.append(hear)
        }

        func announce(_ services: [String]) {}
    }

    private let loop = EmbeddedEventLoop()
    private let below = Below()

    @Test func `asks the server once for all who wait, and goes where it says`() {
        var asked: [String] = []
        let peers = GuestPeers(below, on: loop) { asked.append($0.name) }
        var failures: [ErrorCode] = []
        let hear: (Result<ServicePeer, AditError>) -> Void = { result in
            if case .failure(let error) = result { failures.append(error.code) }
        }
        peers.connect("", service: "mei.ssh", hear: hear)
        #expect(asked == [])
        peers.connected(true)
        peers.connect("", service: "mei.ssh", hear: hear)
        #expect(asked == ["mei.ssh"])
        // Nobody asked for this one.
        peers.took(AditServiceHolder(name: "other", peer: "eve"))
        peers.took(AditServiceHolder(name: "mei.ssh", reason: "busy"))
        #expect(below.asked == [])
        loop.advanceTime(by: .seconds(6))
        #expect(asked == ["mei.ssh", "mei.ssh"])
        peers.took(AditServiceHolder(name: "mei.ssh", peer: "mei@k"))
        #expect(below.asked == ["mei@k/mei.ssh"])
        for hearer in below.hearers { hearer(.failure(AditError(.deviceOffline, "gone"))) }
        #expect(failures == [.serviceUnknown, .serviceUnknown])
        peers.stop()
    }

    @Test func `says that nobody has it, asks again after a reconnect, and lets all go at the end`() {
        var asked = 0
        let peers = GuestPeers(below, on: loop) { _ in asked += 1 }
        var failures: [ErrorCode] = []
        let hear: (Result<ServicePeer, AditError>) -> Void = { result in
            if case .failure(let error) = result { failures.append(error.code) }
        }
        peers.connected(true)
        peers.connect("", service: "a", hear: hear)
        peers.took(AditServiceHolder(name: "a", reason: "no-service"))
        #expect(failures == [.serviceUnknown])
        peers.connect("", service: "a", hear: hear)
        peers.connected(false)
        peers.connected(true)
        #expect(asked == 3)
        peers.stop()
        #expect(failures == [.serviceUnknown, .noPath])
        peers.connect("", service: "a", hear: hear)
        #expect(failures.last == .noPath && asked == 3)
    }
}
