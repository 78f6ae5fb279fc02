// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import AditWire
import Logging
import NIOCore

/// One connection of a device's session, from dialling to its end; lives on the session's event loop.
final class DeviceLink {
    /// What the session does with a link's news.
    struct Callbacks {
        var onOutput: (DeviceControl.Output) -> Void
        var onRoundTrip: (Duration) -> Void
        var onWorkConnection: (FRPStartWorkConnection, any Channel) -> Void
        /// A stream of another device has come.
        var onPeerStream: (AditPeerStream, any Channel) -> Void
        /// The link is over; called once. `ended` of the machine is not passed to `onOutput`.
        var onEnd: (any Error) -> Void
    }

    /// How many connections may wait for StartWorkConn; bounds what a server can ask of a device.
    private static let maximumIdleConnections = 1024
    private static let farewell = TimeAmount.milliseconds(500)
    /// A server that may be out of reach has to answer within this time.
    private static let doubt = Duration.seconds(2)
    /// How long the first frame of a stream of the server may take.
    private static let framePatience = TimeAmount.seconds(10)

    private let eventLoop: any EventLoop
    private let configuration: DeviceSessionConfiguration
    private let connector: DeviceConnector
    private let random: RandomBytes
    private let logger: Logger
    private let callbacks: Callbacks
    private var connection: (any Channel)?
    private var multiplexer: YamuxMultiplexer?
    private var controlChannel: (any Channel)?
    private var control: DeviceControlHandler?
    private var lostReason: SessionEnd?
    private var idle: [ObjectIdentifier: any Channel] = [:]
    private var idleCount = 0
    private var hasEnded = false
    private let firstFrames: FirstFrameWait
    private(set) var fingerprint: KeyFingerprint?

    init(
        eventLoop: any EventLoop,
        configuration: DeviceSessionConfiguration,
        connector: DeviceConnector,
        random: RandomBytes,
        logger: Logger,
        callbacks: Callbacks
    ) {
        self.eventLoop = eventLoop
        firstFrames = FirstFrameWait(eventLoop: eventLoop, patience: Self.framePatience)
        self.configuration = configuration
        self.connector = connector
        self.random = random
        self.logger = logger
        self.callbacks = callbacks
    }

    var features: Set<AditFeature> { control?.features ?? [] }
    var remoteAddress: IPEndpoint? { connection?.remoteAddress.flatMap { IPEndpoint($0) } }

    func start(unixTime: Int64) {
        connector.connect(on: eventLoop) { [self] ready in
            try install(ready, unixTime: unixTime)
        }
        .assumeIsolated()
        .whenFailure { [self] error in finish(error) }
    }

    func step(_ input: DeviceControl.Input) {
        control?.step(input)
    }

    /// Ends the link from this side.
    func close(_ reason: SessionEnd) {
        if let control, !hasEnded { control.step(.end(reason)) }
        finish(reason)
    }

    /// Succeeds when the connection is closed.
    func closed(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        connection?.closeFuture ?? eventLoop.makeSucceededVoidFuture()
    }

    /// The way to the server may be gone: ends the link when its own address is none of these, and soon when nothing answers.
    func check(_ addresses: [IPAddress]?) {
        guard !hasEnded else { return }
        guard let addresses else {
            multiplexer?.check(within: Self.doubt)
            return
        }
        let own = connection?.localAddress.flatMap { IPEndpoint($0) }?.address.unmapped
        if let own, own.isLoopback || addresses.contains(where: { $0.unmapped == own }) {
            multiplexer?.check(within: Self.doubt)
        } else {
            // What is still being connected began on the old way.
            finish(SessionEnd.connectionLost("the network has changed"))
        }
    }

    // MARK: The connection

    private func install(_ ready: DeviceConnector.Ready, unixTime: Int64) throws {
        guard !hasEnded else { throw SessionEnd.closed }
        connection = ready.channel
        fingerprint = ready.fingerprint
        let handler = makeControl(unixTime: unixTime)
        control = handler
        ready.channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
            finish(lostReason ?? .peerClosed)
        }
        guard configuration.isMultiplexed else {
            controlChannel = ready.channel
            try ready.channel.pipeline.syncOperations.addHandler(handler)
            handler.begin()
            return
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let acceptStream: @Sendable (any Channel) -> EventLoopFuture<Void> = { stream in
            stream.eventLoop.makeCompletedFuture { try bound.value.accept(stream) }
        }
        let yamux = YamuxHandler(
            role: .client,
            configuration: muxConfiguration,
            inboundStreamInitializer: configuration.credentials.isAdit ? acceptStream : nil
        )
        let watcher = ConnectionWatcher { [self] event in
            switch event {
            case .roundTrip(let time): callbacks.onRoundTrip(time)
            case .failed(let failure): lostReason = .connectionLost("\(failure)")
            case .peerGoingAway, .finished: break
            }
        } onError: { [self] error in
            lostReason = .connectionLost("\(error)")
        }
        try ready.channel.pipeline.syncOperations.addHandlers([yamux, watcher])
        multiplexer = yamux.multiplexer
        let boundHandler = NIOLoopBound(handler, eventLoop: eventLoop)
        let opened = yamux.openStream { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(boundHandler.value)
            }
        }
        opened.assumeIsolated().whenComplete { [self] (result: Result<any Channel, any Error>) in
            switch result {
            case .success(let stream):
                controlChannel = stream
                handler.begin()
            case .failure(let error): finish(error)
            }
        }
    }

    private var muxConfiguration: YamuxConfiguration {
        var mux = configuration.credentials.isAdit ? YamuxConfiguration() : YamuxConfiguration.frp
        // The service's answer, or its connection's end, acknowledges most streams without a frame of their own.
        if configuration.credentials.isAdit { mux.acknowledgementDelay = .milliseconds(20) }
        mux.pingInterval = configuration.muxPingInterval
        mux.pingTimeout = configuration.muxPingTimeout
        return mux
    }

    private func makeControl(unixTime: Int64) -> DeviceControlHandler {
        var login = FRPLogin(
            version: configuration.version,
            hostname: configuration.hostname,
            os: configuration.os,
            arch: configuration.arch,
            user: configuration.user,
            runID: configuration.runID,
            clientID: configuration.clientID,
            metas: configuration.metas
        )
        login.poolCount = configuration.poolCount
        var control = DeviceControl.Configuration(
            credentials: configuration.credentials,
            wireVersion: configuration.wireVersion,
            login: login
        )
        control.deviceName = configuration.deviceName
        if configuration.takesSignals { control.features.formUnion([.paths, .services]) }
        if configuration.credentials.isGuest { control.features.insert(.guests) }
        control.heartbeatInterval = configuration.heartbeatInterval
        control.heartbeatTimeout = configuration.heartbeatTimeout
        control.provesHeartbeats = configuration.provesHeartbeats
        control.provesWorkConnections = configuration.provesWorkConnections
        control.loginTimeout = configuration.connectTimeout
        let facts = DeviceControl.Connection(
            isTLS: configuration.serverTrust.isTLS,
            isMultiplexed: configuration.isMultiplexed,
            fingerprint: fingerprint,
            clientRandom: random(32),
            unixTime: unixTime
        )
        return DeviceControlHandler(
            version: configuration.wireVersion,
            random: random,
            makeMachine: { now in DeviceControl(configuration: control, connection: facts, at: now) },
            lostReason: { [self] in lostReason },
            onOutput: { [self] output in perform(output) }
        )
    }

    private func perform(_ output: DeviceControl.Output) {
        switch output {
        case .openWorkConnection(let message): openWorkConnection(message)
        case .ended(let reason): finish(reason)
        default: callbacks.onOutput(output)
        }
    }

    // MARK: Work connections

    /// A stream that an Adit server opens: StartWorkConn comes first.
    private func accept(_ stream: any Channel) throws {
        guard let control, control.isAdit, !hasEnded else {
            stream.close(promise: nil)
            return
        }
        try stream.pipeline.syncOperations.addHandlers([
            opening(on: stream, framing: configuration.wireVersion, wait: firstFrames), EarlyDataHandler(),
        ])
    }

    /// Opens a stream that the server leads to another device.
    func openPeerStream(
        _ message: AditPeerStream,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        guard let multiplexer, !hasEnded, features.contains(.services),
            let bytes = try? WorkPipeline.bytes(.peerStream(message), configuration.wireVersion, withMagic: true)
        else { return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
        return multiplexer.openStream { stream in
            stream.eventLoop.makeCompletedFuture {
                stream.write(bytes, promise: nil)
                try initialize(stream)
            }
        }
    }

    /// A connection that a plain frp server asked for.
    private func openWorkConnection(_ message: FRPNewWorkConnection) {
        guard !hasEnded, idleCount < Self.maximumIdleConnections,
            let bytes = try? WorkPipeline.bytes(
                .newWorkConnection(message),
                configuration.wireVersion,
                withMagic: true
            )
        else { return }
        idleCount += 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let opened: EventLoopFuture<any Channel>
        if let multiplexer {
            opened = multiplexer.openStream { stream in
                stream.eventLoop.makeCompletedFuture { try bound.value.prepare(stream) }
            }
        } else {
            opened = connector.connect(on: eventLoop) { [self] ready in try prepare(ready.channel) }
        }
        opened.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel):
                guard !hasEnded else { return channel.close(promise: nil) }
                channel.writeAndFlush(bytes, promise: nil)
            case .failure(let error):
                idleCount -= 1
                logger.info("no work connection could be opened", metadata: ["error": "\(error)"])
            }
        }
    }

    private func prepare(_ channel: any Channel) throws {
        idle[ObjectIdentifier(channel)] = channel
        try channel.pipeline.syncOperations.addHandlers([
            opening(on: channel, framing: configuration.wireVersion, wait: nil), EarlyDataHandler(),
        ])
    }

    private func noLongerIdle(_ channel: any Channel) {
        if idle.removeValue(forKey: ObjectIdentifier(channel)) != nil { idleCount -= 1 }
    }

    private func opening(on channel: any Channel, framing: FRPWireVersion, wait: FirstFrameWait?) -> FirstFrameHandler {
        FirstFrameHandler(
            framing: .known(framing),
            wait: wait,
            onFrame: { [self] frame, _, handler in
                noLongerIdle(channel)
                if case .message(.peerStream(let message)) = frame, features.contains(.services), message.isWellFormed {
                    handler.release()
                    return callbacks.onPeerStream(message, channel)
                }
                guard case .message(.startWorkConnection(let start)) = frame,
                    let transform = control?.transform(for: start),
                    (try? WorkPipeline.install(transform, on: channel, after: handler, random: random)) != nil
                else {
                    channel.close(promise: nil)
                    return
                }
                handler.release()
                callbacks.onWorkConnection(start, channel)
            },
            onEnd: { [self] _ in noLongerIdle(channel) }
        )
    }

    // MARK: End

    private func finish(_ reason: any Error) {
        guard !hasEnded else { return }
        hasEnded = true
        for channel in idle.values { channel.close(promise: nil) }
        idle = [:]
        controlChannel?.close(promise: nil)
        if let connection, let multiplexer, connection.isActive {
            multiplexer.shutdown()
            eventLoop.scheduleTask(in: Self.farewell) { connection.close(promise: nil) }
        } else {
            connection?.close(promise: nil)
        }
        control = nil
        callbacks.onEnd(reason)
    }
}
