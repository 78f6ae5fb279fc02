// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Two devices with a connection between them: `desk`, which has services, and `laptop`, which visits them.
final class ServiceHouse: Sendable {
    /// What the two devices have between them.
    enum Wire: CaseIterable {
        /// QUIC, as devices have it.
        case quic
        /// Streams of yamux, where a test looks into the connection.
        case standIn
    }

    static let key = KeyFingerprint(of: (try? QUICDevices.key(1).publicKey.bytes) ?? [])

    /// Gives the connection that it has, or lets ask until it has one.
    final class Peers: ServicePeers {
        var peer: ServicePeer?
        var waiting: [(Result<ServicePeer, AditError>) -> Void] = []
        var asked: [String] = []
        var isDirect = false
        var directWaits: [(Bool) -> Void] = []

        func connect(_ device: String, service: String, hear: @escaping (Result<ServicePeer, AditError>) -> Void) {
            asked.append("\(device)/\(service)")
            if let peer { hear(.success(peer)) } else { waiting.append(hear) }
        }

        func whenDirect(_ id: PathPeerID, within time: TimeAmount, hear: @escaping (Bool) -> Void) {
            if isDirect { hear(true) } else { directWaits.append(hear) }
        }

        /// Says whether there is a direct path to those who wait for one.
        func tellDirect(_ isDirect: Bool) {
            self.isDirect = isDirect
            let all = directWaits
            directWaits = []
            for hear in all { hear(isDirect) }
        }

        func announce(_ services: [String]) {}

        func give(_ result: Result<ServicePeer, AditError>) {
            peer = try? result.get()
            let all = waiting
            waiting = []
            for hear in all { hear(result) }
        }
    }

    /// What lives on the event loop.
    struct Parts {
        var desk: ServiceDesk
        var peers = Peers()
        var ends: (StandInConnection, StandInConnection)?
        var devices: QUICDevices?
        /// The visitor's end of whatever is between them.
        var connection: (any PeerConnection)? { devices?.visitor ?? ends?.0 }
        var visits: [ServiceVisits] = []
    }

    let loop: any EventLoop
    let parts: NIOLoopBoundBox<Parts>
    let trusted = NIOLockedValueBox(true)
    let news = NIOLockedValueBox<[ServiceNews]>([])
    let visitNews = NIOLockedValueBox<[VisitNews]>([])

    init(_ orders: [ServiceOrder], limits: ServiceDesk.Limits = ServiceDesk.Limits()) async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        self.loop = loop
        let (trusted, news) = (trusted, news)
        parts = try await loop.submit {
            let desk = ServiceDesk(
                limits: limits,
                on: loop,
                isTrusted: { _ in trusted.withLockedValue { $0 } },
                tell: { event in news.withLockedValue { $0.append(event) } }
            )
            desk.replace(with: orders)
            return NIOLoopBoundBox(Parts(desk: desk), eventLoop: loop)
        }.get()
    }

    /// Joins the two devices, anew if they were; the visits that wait go on.
    func connect(by wire: Wire = .quic) async throws {
        let (parts, key) = (parts, Self.key.description)
        let accept: @Sendable (any Channel, any PeerConnection) throws -> Void = { stream, connection in
            let visitor = PathPeerID(name: "laptop", key: key)
            try parts.value.desk.take(stream, from: ServicePeer(visitor, connection))
        }
        switch wire {
        case .quic:
            let devices = try await QUICDevices.make(on: loop, accept: accept)
            try await loop.submit { parts.value.devices = devices.value }.get()
        case .standIn:
            let ends = try await StandInConnection.pair(on: loop, accept: accept)
            try await loop.submit { parts.value.ends = ends.value }.get()
        }
        try await loop.submit {
            guard let connection = parts.value.connection else { return }
            let desk = PathPeerID(name: "desk", key: "SHA256:desk")
            parts.value.peers.give(.success(ServicePeer(desk, connection)))
        }.get()
    }

    /// Joins the laptop with somebody who is not the desk, and does with its streams what `accept` does.
    func connectImpostor(
        _ accept: @escaping @Sendable (any Channel, any PeerConnection) throws -> Void
    ) async throws {
        let ends = try await StandInConnection.pair(on: loop, accept: accept)
        let parts = parts
        try await loop.submit {
            parts.value.ends = ends.value
            let desk = PathPeerID(name: "desk", key: "SHA256:desk")
            parts.value.peers.give(.success(ServicePeer(desk, ends.value.0)))
        }.get()
    }

    /// Breaks the connection between the devices.
    func disconnect() async throws {
        try await change { parts in
            parts.ends?.0.close()
            parts.devices?.close()
        }
    }

    /// Opens a local port for a service; the port.
    func listen(_ order: VisitOrder, limits: ServiceVisits.Limits = ServiceVisits.Limits()) async throws -> UInt16 {
        let (parts, loop, visitNews) = (parts, loop, visitNews)
        var order = order
        order.address = .v4(0x7F00_0001)
        return try await loop.flatSubmit { [order] in
            let visits = ServiceVisits(
                order,
                peers: parts.value.peers,
                ownKey: Self.key,
                limits: limits,
                on: loop
            ) { event in
                visitNews.withLockedValue { $0.append(event) }
            }
            parts.value.visits.append(visits)
            return visits.listen().map(\.port)
        }.get()
    }

    /// Does something on the event loop.
    func change<Value: Sendable>(_ body: @escaping @Sendable (inout Parts) throws -> Value) async throws -> Value {
        try await loop.submit { [parts] in try body(&parts.value) }.get()
    }

    /// Waits until something is there; 20 seconds at most.
    func wait(_ look: @escaping @Sendable () -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if look() { return true }
            try await loop.scheduleTask(in: .milliseconds(2)) {}.futureResult.get()
        }
        return false
    }

    /// The error of the first visit that failed.
    func failure() async throws -> AditError? {
        let find: @Sendable () -> AditError? = { [visitNews] in
            visitNews.withLockedValue { all in
                all.lazy.compactMap { if case .failed(_, let error) = $0 { error } else { nil } }.first
            }
        }
        _ = try await wait { find() != nil }
        return find()
    }

    func close() async throws {
        try await change { parts in
            for visits in parts.visits { visits.close() }
            parts.desk.close()
            parts.ends?.0.close()
            parts.devices?.close()
        }
    }
}

extension ServiceOrder {
    /// A service at a port of loopback.
    static func at(_ port: UInt16, _ kind: Kind = .tcp, name: String = "web") -> ServiceOrder {
        ServiceOrder(kind: kind, target: TunnelTarget(scheme: .tcp, host: "127.0.0.1", port: port), name: name)
    }
}

extension ServiceNews {
    /// What passed over a stream that has ended.
    var figures: ServiceFigures? { if case .left(_, let figures) = self { figures } else { nil } }
}

extension VisitNews {
    /// What passed over a stream that has ended.
    var figures: ServiceFigures? { if case .left(_, let figures) = self { figures } else { nil } }
}
