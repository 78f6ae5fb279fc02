// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore

/// The TURN server inside `adit server`: who may use it, what devices are told, and what it tells of itself.
///
/// It has the ports of the ``STUNService``, and takes TLS connections of the session port that ask for `stun.turn`.
final class TURNService: Sendable {
    /// Expiries are whole hours, so that a device that comes again soon is told what it knows.
    private static let expiryStep: Int64 = 3600

    let desk: TURNDesk
    let setup: TURNSetup
    let realm: String
    private let secret: TURNSecret
    private let unixClock: UnixClock
    private let removed: NIOLockedValueBox<Set<String>>
    private let listeners = NIOLockedValueBox<(port: UInt16, tlsPort: UInt16, isOnSessionPort: Bool)>((0, 0, false))

    /// - Parameter requestsPerSecond: how many requests of a source that has shown no key are answered.
    init(
        _ setup: TURNSetup,
        realm: String,
        places: TURNPlaces,
        requestsPerSecond: Int,
        parts: AditServer.Parts,
        idle: TimeAmount
    ) {
        self.setup = setup
        self.realm = realm
        unixClock = parts.unixClock
        let secret = TURNSecret(parts.random(32))
        self.secret = secret
        let removed = NIOLockedValueBox<Set<String>>([])
        self.removed = removed
        let own = MachineAddress.own().map(\.unmapped)
        let announced = Set(places.known.map(\.announced) + own.map { places.announced($0) ?? $0 } + own)
        var configuration = TURNRelayConfiguration(
            realm: realm,
            secrets: [secret] + (setup.secret.map { [TURNSecret(Array($0.utf8))] } ?? []),
            admits: { device in removed.withLockedValue { !$0.contains(device) } },
            families: places.families,
            relayAddresses: Array(announced),
            peers: TURNPeerPolicy(
                allowsPrivate: setup.allowsPrivatePeers,
                allowed: setup.allowedPeers,
                refused: setup.refusedPeers,
                own: Array(announced)
            ),
            allocationLimit: setup.maximumAllocations,
            deviceAllocationLimit: setup.maximumAllocationsPerDevice,
            deviceBytesPerSecond: setup.bandwidthPerDevice.map { Int(clamping: $0.bytesPerSecond) }
        )
        configuration.limits = STUNLimits(responsesPerSecond: requestsPerSecond, burst: 2 * requestsPerSecond)
        configuration.software = "Adit \(parts.version)"
        let now = parts.clock.now()
        let relay = TURNRelay(
            configuration,
            unixSecondsAtZero: parts.unixClock.now().seconds - now.nanoseconds / 1_000_000_000,
            random: SystemRandomNumberGenerator()
        )
        let log = parts.log
        desk = TURNDesk(
            relay,
            setup: setup,
            places: places,
            clock: parts.clock,
            random: SystemRandomNumberGenerator(),
            idle: idle
        ) { event in
            switch event {
            case .allocated(let device, let relayed, let client):
                log.debug(
                    "relay open",
                    metadata: [
                        "device": "\(LineLogHandler.printable(device))", "relay": "\(relayed)",
                        "client": "\(client.client)", "transport": "\(client.transport)",
                    ]
                )
            case .released(let device, let relayed, _, let sent, let received):
                log.debug(
                    "relay closed",
                    metadata: [
                        "device": "\(LineLogHandler.printable(device))", "relay": "\(relayed)", "sent": "\(sent)",
                        "received": "\(received)",
                    ]
                )
            }
        }
    }

    /// Relays on a lane from now on; clients come to these ports.
    func begin(on lane: DatagramLane, port: UInt16, tlsPort: UInt16) {
        desk.begin(on: lane)
        listeners.withLockedValue { $0 = (port, tlsPort, true) }
    }

    /// What a device is told: where, and its credentials.
    func offer(to device: String) -> TURNOffer {
        // A device of this name has joined again.
        _ = removed.withLockedValue { $0.remove(device) }
        let lifetime = setup.credentialLifetime.wholeNanoseconds / 1_000_000_000
        let step = min(Self.expiryStep, max(1, lifetime))
        let expiry = (unixClock.now().seconds + lifetime + step - 1) / step * step
        let credentials = secret.credentials(device: device, expiry: expiry)
        let listeners = listeners.withLockedValue { $0 }
        return TURNOffer(
            port: listeners.port,
            tlsPort: listeners.tlsPort,
            isOnSessionPort: listeners.isOnSessionPort,
            username: credentials.username,
            password: credentials.password,
            realm: realm,
            nonce: desk.nonce(for: credentials.username),
            expiresAt: expiry
        )
    }

    /// How often devices are told anew, so that none has credentials with less than a third of their time.
    var renewalInterval: TimeAmount {
        .nanoseconds(max(1_000_000_000, setup.credentialLifetime.wholeNanoseconds / 3))
    }

    /// A device is no member any more: what it relays ends, and its credentials with it.
    func remove(device: String) {
        removed.withLockedValue { _ = $0.insert(device) }
        desk.release(device)
    }

    /// Ends everything.
    func stop() {
        desk.stop()
    }

    /// What `adit server status` tells.
    var status: ServerStatus.TURN {
        let now = desk.current
        let listeners = listeners.withLockedValue { $0 }
        return ServerStatus.TURN(
            port: listeners.port,
            tlsPort: listeners.tlsPort == 0 ? nil : listeners.tlsPort,
            onSessionPort: listeners.isOnSessionPort,
            ports: "\(setup.ports.lowerBound)-\(setup.ports.upperBound)",
            allocations: now.allocations,
            allocationsTotal: now.counters.allocations,
            devices: now.devices.sorted { ($1.bytes, $0.device) < ($0.bytes, $1.device) }.prefix(256).map {
                ServerStatus.TURN.Device(
                    name: LineLogHandler.printable($0.device),
                    allocations: $0.allocations,
                    bytes: $0.bytes
                )
            },
            bytesToPeers: now.counters.bytesToPeers,
            bytesToClients: now.counters.bytesToClients,
            datagramsToPeers: now.counters.datagramsToPeers,
            datagramsToClients: now.counters.datagramsToClients,
            refused: now.counters.refused,
            unauthorized: now.counters.unauthorized,
            forbidden: now.counters.forbidden,
            overQuota: now.counters.overQuota,
            limited: now.counters.limited,
            dropped: now.counters.dropped + now.figures.overRate,
            lost: now.figures.lost
        )
    }
}

extension ServerPolicy {
    /// The TURN server; nil when nothing is relayed.
    var turnService: TURNService? { changeable.withLockedValue { $0.turn } }

    /// What a device is told about TURN; nil when nothing is relayed.
    func turnOffer(to device: String) -> TURNOffer? {
        turnService?.offer(to: device)
    }

    /// Who takes TLS connections to the session port that are none of a session: those that ask for STUN or TURN, so that
    /// whoever reaches the session reaches the relay, and visitors where they share the port.
    func relayVisitors(or visitors: TLSVisitors?) -> TLSVisitors {
        let wants = { @Sendable (hello: ClientHello) in hello.protocols.contains(where: ServerTLS.protocols.contains) }
        return TLSVisitors { hello in
            wants(hello) || visitors?.claims(hello) == true
        } serve: { hello, channel, handler in
            if !wants(hello), let visitors { return visitors.serve(hello, channel, handler) }
            guard let stun = self.changeable.withLockedValue({ $0.stun }) else { return .drop }
            return stun.streams.takeTLS(channel, behind: handler)
        }
    }
}

extension AditServer {
    /// What was relayed; nil when nothing is.
    package var turnStatus: ServerStatus.TURN? { policy.turnService?.status }

    /// Tells devices that are connected their new credentials from time to time.
    func beginRenewingCredentials() {
        guard let turn = policy.turnService else { return }
        let interval = turn.renewalInterval
        let task = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            for session in self.table.sessions {
                if case .device(_, let name) = session.identity, session.isAdit {
                    session.send(.turnOffer(turn.offer(to: name)))
                }
            }
        }
        running.withLockedValue { $0.renewals = task }
    }
}
