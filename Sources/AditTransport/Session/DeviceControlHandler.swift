// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import NIOCore

/// Drives the device's control machine on a control stream.
final class DeviceControlHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let version: FRPWireVersion
    private let stream: ControlStream
    private let makeMachine: (Instant) -> DeviceControl
    private let onOutput: (DeviceControl.Output) -> Void
    /// Why the connection broke, when a layer below said so.
    private let lostReason: () -> SessionEnd?
    private var machine: DeviceControl?
    private var context: ChannelHandlerContext?
    private var hasEnded = false
    private var isStepping = false
    private var inputs: [DeviceControl.Input] = []
    private var timer: Scheduled<Void>?
    private var timerDeadline: Instant?

    init(
        version: FRPWireVersion,
        random: RandomBytes,
        makeMachine: @escaping (Instant) -> DeviceControl,
        lostReason: @escaping () -> SessionEnd?,
        onOutput: @escaping (DeviceControl.Output) -> Void
    ) {
        self.version = version
        stream = ControlStream(version: version, role: .client, random: random)
        self.makeMachine = makeMachine
        self.lostReason = lostReason
        self.onOutput = onOutput
    }

    var runID: String { machine?.runID ?? "" }
    var isAdit: Bool { machine?.isAdit ?? false }
    var features: Set<AditFeature> { machine?.features ?? [] }

    func transform(for start: FRPStartWorkConnection) -> WorkTransform? {
        machine?.transform(for: start)
    }

    /// Begins the login; called once the stream can be written to.
    func begin() {
        guard let context, machine == nil else { return }
        if version == .v2 {
            context.write(wrapOutboundOut(ByteBuffer(bytes: FRPWireMagic.bytes)), promise: nil)
        }
        machine = makeMachine(Instant(context.eventLoop.now))
        run()
    }

    /// Hands one input to the machine and does what it asks for; called on the event loop.
    func step(_ input: DeviceControl.Input) {
        inputs.append(input)
        run()
    }

    private func run() {
        guard !isStepping, let context, machine != nil else { return }
        isStepping = true
        flushOutputs()
        var index = 0
        while index < inputs.count {
            machine?.handle(inputs[index], at: Instant(context.eventLoop.now))
            flushOutputs()
            index += 1
        }
        inputs = []
        isStepping = false
        schedule(context)
    }

    private func flushOutputs() {
        while let output = machine?.nextOutput() {
            switch output {
            case .send(let frame):
                do {
                    let bytes = try stream.encode(frame)
                    context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
                } catch {
                    inputs.append(.end(.connectionLost("a message could not be sent: \(error)")))
                }
            case .secure(let security): stream.secure(security)
            case .ended:
                hasEnded = true
                timer?.cancel()
                onOutput(output)
            default: onOutput(output)
            }
        }
    }

    private func schedule(_ context: ChannelHandlerContext) {
        let deadline = machine?.nextDeadline
        guard deadline != timerDeadline else { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = deadline.map { deadline in
            context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline.deadline) { [self] in
                timerDeadline = nil
                step(.timer)
            }
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasEnded else { return }
        stream.receive(unwrapInboundIn(data))
        do {
            while !hasEnded, let frame = try stream.nextFrame() { step(.frame(frame)) }
        } catch {
            step(.end(.protocolBroken("\(error)")))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        step(.end(lostReason() ?? .peerClosed))
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { step(.end(lostReason() ?? .peerClosed)) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        step(.end(.connectionLost("\(error)")))
    }
}
