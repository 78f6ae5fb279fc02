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
    private let grants: NIOLockedValueBox<TURNGrants>
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
        let grants = NIOLockedValueBox(TURNGrants())
        self.grants = grants
        let own = MachineAddress.own().map(\.unmapped)
        let announced = Set(places.known.map(\.announced) + own.map { places.announced($0) ?? $0 } + own)
        var configuration = TURNRelayConfiguration(
            realm: realm,
            secrets: [secret] + (setup.secret.map { [TURNSecret(Array($0.utf8))] } ?? []),
            admits: { username in grants.withLockedValue { $0.admits(username) } },
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
            deviceBytesPerSecond: setup.bandwidthPerDevice.map { Int(clamping: $0.bytesPerSecond) },
            deviceDatagramsPerSecond: setup.packetsPerDevice
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

    /// What a device is told: where, and its credentials; nil when it is told anew and was removed meanwhile.
    ///
    /// - Parameters:
    ///   - key: the device's key, in hexadecimal digits.
    ///   - address: where its session comes from; nil when that is not known.
    func offer(to device: String, key: String, at address: IPAddress?, isRenewal: Bool = false) -> TURNOffer? {
        let lifetime = setup.credentialLifetime.wholeNanoseconds / 1_000_000_000
        let step = min(Self.expiryStep, max(1, lifetime))
        let now = unixClock.now().seconds
        let end = (now + lifetime + step - 1) / step * step
        let expiry = grants.withLockedValue {
            $0.grant(to: device, key: key, until: end, step: step, isRenewal: isRenewal, now: now)
        }
        guard let expiry else { return nil }
        let credentials = secret.credentials(device: device, expiry: expiry)
        let listeners = listeners.withLockedValue { $0 }
        return TURNOffer(
            port: listeners.port,
            tlsPort: listeners.tlsPort,
            isOnSessionPort: listeners.isOnSessionPort,
            username: credentials.username,
            password: credentials.password,
            realm: realm,
            nonce: address.map { desk.nonce(for: credentials.username, from: $0) } ?? "",
            expiresAt: expiry
        )
    }

    /// How often devices are told anew, so that none has credentials with less than a third of their time.
    var renewalInterval: TimeAmount {
        .nanoseconds(max(1_000_000_000, setup.credentialLifetime.wholeNanoseconds / 3))
    }

    /// How often devices were told credentials, for `keep(only:asOf:)`.
    var grantTotal: UInt64 { grants.withLockedValue { $0.total } }

    /// Ends what devices relay that have other keys than these, and their credentials with it.
    func keep(only keys: Set<String>, asOf total: UInt64) {
        for device in grants.withLockedValue({ $0.keep(only: keys, asOf: total) }) { desk.release(device) }
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
            dropped: now.counters.dropped,
            lost: now.figures.lost
        )
    }
}

extension ServerPolicy {
    /// The TURN server; nil when nothing is relayed.
    var turnService: TURNService? { changeable.withLockedValue { $0.turn } }

    /// What a device is told about TURN; nil when nothing is relayed.
    func turnOffer(to device: String, key: DevicePublicKey, at address: IPAddress?) -> TURNOffer? {
        turnService?.offer(to: device, key: key.hexadecimal, at: address)
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
                guard let (key, name) = session.identity.peer, session.isAdit else { continue }
                let place = session.remoteAddress?.address
                let offer = turn.offer(to: name, key: key.hexadecimal, at: place, isRenewal: true)
                if let offer { session.send(.turnOffer(offer)) }
            }
        }
        running.withLockedValue { $0.renewals = task }
    }
}
