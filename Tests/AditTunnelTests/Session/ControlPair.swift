// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import AditWire
import Testing

/// A server's and a device's control machine back to back, in virtual time, with a link that can be cut.
///
/// Frames cross as values; what each machine asked of its driver is kept for the test to look at.
struct ControlPair {
    var now = Instant.zero
    var device: DeviceControl
    var server: ServerControl
    var toServer: [FRPFrame] = []
    var toDevice: [FRPFrame] = []
    var deviceOutputs: [DeviceControl.Output] = []
    var serverOutputs: [ServerControl.Output] = []
    /// Frames are lost while this is true.
    var isCut = false
    /// What the policy answers.
    var decision = LoginDecision.accept(
        LoginAcceptance(identity: .frp(user: "", clientID: ""), token: "secret")
    )
    /// Whether tunnels are opened as soon as they are asked for.
    var opensTunnels = true

    init(
        _ device: DeviceControl.Configuration,
        server: ServerControl.Configuration = ServerControl.Configuration(),
        isTLS: Bool = true,
        isMultiplexed: Bool = true,
        deviceSees deviceFingerprint: KeyFingerprint = .sample,
        serverVersion: FRPWireVersion? = nil
    ) {
        self.device = DeviceControl(
            configuration: device,
            connection: DeviceControl.Connection(
                isTLS: isTLS,
                isMultiplexed: isMultiplexed,
                fingerprint: isTLS ? deviceFingerprint : nil,
                clientRandom: [UInt8](repeating: 1, count: 32),
                unixTime: 1_800_000_000
            ),
            at: .zero
        )
        self.server = ServerControl(
            configuration: server,
            connection: ServerControl.Connection(
                wireVersion: serverVersion ?? device.wireVersion,
                isTLS: isTLS,
                isTLS13: isTLS,
                canOpenStreams: isMultiplexed,
                fingerprint: isTLS ? .sample : nil,
                remoteAddress: nil,
                serverRandom: [UInt8](repeating: 2, count: 32)
            ),
            at: .zero
        )
    }

    /// Lets both run until nothing moves.
    mutating func run() {
        var isMoving = true
        while isMoving {
            isMoving = false
            while let output = device.nextOutput() {
                isMoving = true
                if case .send(let frame) = output { toServer.append(frame) } else { deviceOutputs.append(output) }
            }
            while let output = server.nextOutput() {
                isMoving = true
                perform(output)
            }
            if isCut {
                toServer = []
                toDevice = []
            }
            if !toServer.isEmpty {
                server.handle(.frame(toServer.removeFirst()), at: now)
            } else if !toDevice.isEmpty {
                device.handle(.frame(toDevice.removeFirst()), at: now)
            } else {
                continue
            }
            isMoving = true
        }
    }

    private mutating func perform(_ output: ServerControl.Output) {
        switch output {
        case .send(let frame): toDevice.append(frame)
        case .authorize:
            serverOutputs.append(output)
            switch decision {
            case .accept(let acceptance): server.handle(.accept(acceptance, runID: "0123456789abcdef"), at: now)
            case .refuse(let error, let frpText): server.handle(.refuse(error, frpText: frpText), at: now)
            }
        case .openTunnel(let proxy):
            serverOutputs.append(output)
            guard opensTunnels else { return }
            let answer = FRPNewProxyResponse(proxyName: proxy.proxyName, remoteAddress: ":20000")
            server.handle(.tunnelAnswered(answer), at: now)
        default: serverOutputs.append(output)
        }
    }

    /// Moves time on, firing every timer on the way at its own instant.
    mutating func advance(by duration: Duration) {
        let end = now + duration
        run()
        while let next = [device.nextDeadline, server.nextDeadline].compactMap({ $0 }).min(), next <= end {
            now = max(now, next)
            if let deadline = device.nextDeadline, deadline <= now { device.handle(.timer, at: now) }
            if let deadline = server.nextDeadline, deadline <= now { server.handle(.timer, at: now) }
            run()
        }
        now = end
    }

    mutating func takeDeviceOutputs() -> [DeviceControl.Output] {
        defer { deviceOutputs = [] }
        return deviceOutputs
    }

    mutating func takeServerOutputs() -> [ServerControl.Output] {
        defer { serverOutputs = [] }
        return serverOutputs
    }

    var deviceEnd: SessionEnd? {
        deviceOutputs.lazy.compactMap { if case .ended(let reason) = $0 { reason } else { nil } }.first
    }

    var serverEnd: SessionEnd? {
        serverOutputs.lazy.compactMap { if case .ended(let reason) = $0 { reason } else { nil } }.first
    }
}

extension KeyFingerprint {
    static let sample = KeyFingerprint(of: [1, 2, 3])
    static let other = KeyFingerprint(of: [4, 5, 6])
}

extension DeviceControl.Configuration {
    static func frp(_ version: FRPWireVersion, token: String = "secret", poolCount: Int = 1) -> Self {
        DeviceControl.Configuration(
            credentials: .frpToken(token),
            wireVersion: version,
            login: FRPLogin(version: "0.70.1", poolCount: poolCount)
        )
    }

    static func adit(invite: [UInt8]? = nil, over version: FRPWireVersion = .v2) throws -> Self {
        var configuration = DeviceControl.Configuration(
            credentials: .device(try DeviceKey(seed: [UInt8](repeating: 7, count: 32)), invite: invite),
            wireVersion: version
        )
        configuration.deviceName = "laptop"
        return configuration
    }
}
