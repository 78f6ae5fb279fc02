// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTransport
import AditTraversal
import ArgumentParser
import Glibc
import NIOCore
import NIOPosix

/// One connection to a service of another device over standard input and output, where nothing else may be written.
struct StandardStreamVisit: Sendable {
    private enum Wake: Sendable {
        case event(DeviceEvent)
        case done(AditError?)
        case signal
    }

    let order: VisitOrder
    let session: SessionOptions
    let showsPath: Bool

    /// Runs until the connection is over.
    ///
    /// - Throws: `AditError` when the service could not be reached.
    func run() async throws {
        let home = try ProcessFacts.home()
        try home.prepare()
        let choice = try session.choice(home: home)
        let (wakes, continuation) = AsyncStream.makeStream(of: Wake.self, bufferingPolicy: .bufferingNewest(4096))
        let signals = CommandSignal.watch { _ in continuation.yield(.signal) }
        defer { signals.cancel() }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let link = try DeviceLinkSetup(choice, home, session, orders: [], loop: loop) { continuation.yield(.event($0)) }
        let status = try? await StatusSocket.open(in: home, group: loop) { link.runtime.status }
        link.start()
        let streams = try await StandardChannel.open(on: loop)
        link.services.visit(streams.channel, order).whenComplete { result in
            continuation.yield(.done((try? result.get()) ?? nil))
        }
        let failure = await wait(wakes)
        try? await streams.channel.close()
        try? await streams.written.get()
        await status?.close()
        await withDeadline(.seconds(2), on: loop) { await link.runtime.stop() }
        if let failure { throw failure }
    }

    private func wait(_ wakes: AsyncStream<Wake>) async -> (any Error)? {
        var report: String?
        var hasShown = !showsPath
        let style = ProcessFacts.asideStyle()
        for await wake in wakes {
            switch wake {
            case .signal: return nil
            case .done(let error): return error
            case .event(.ended(let error)): return error
            case .event(.waiting(let error, _)) where session.once: return Unreachable(error: error)
            case .event(.path(let news)) where news.peer == order.place.device:
                switch news {
                case .changed(_, let path), .roundTrip(_, _, let path):
                    guard path.kind.isUsable else { continue }
                    let parts = [
                        Foreign.clean(order.place.device, limit: 64), PathWords.kind(path.kind).in(style.language),
                    ]
                    report = (parts + (path.roundTrip.map { [PathWords.trip($0)] } ?? [])).joined(separator: " · ")
                default: continue
                }
            case .event(.visit(.came)):
                // The path is known a moment before or after the service has answered.
                guard !hasShown else { continue }
                hasShown = true
                StandardStream.aside("  " + style.spell(report ?? Foreign.clean(order.place.device, limit: 64)))
            case .event: break
            }
        }
        return nil
    }
}

/// Standard input and output as one channel.
struct StandardChannel: Sendable {
    /// The channel, with an `EarlyDataHandler`.
    let channel: any Channel
    /// Succeeds when everything is written, after the channel was closed.
    let written: EventLoopFuture<Void>

    /// Makes the channel; what cannot be waited for, such as a file, is copied through a pipe.
    static func open(on loop: any EventLoop) async throws -> StandardChannel {
        let input = isWaitable(STDIN_FILENO) ? dup(STDIN_FILENO) : piped(from: STDIN_FILENO)
        var written = loop.makeSucceededVoidFuture()
        var output = dup(STDOUT_FILENO)
        if !isWaitable(STDOUT_FILENO) { (output, written) = piped(to: output, on: loop) }
        let channel = try await NIOPipeBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EarlyDataHandler())
                }
            }
            .takingOwnershipOfDescriptors(input: input, output: output)
            .get()
        return StandardChannel(channel: channel, written: written)
    }

    /// Pipes, sockets and terminals have no position; files and devices such as /dev/null have one.
    private static func isWaitable(_ descriptor: Int32) -> Bool {
        lseek(descriptor, 0, SEEK_CUR) < 0 && errno == ESPIPE
    }

    /// A pipe into which everything is copied that a file has.
    private static func piped(from descriptor: Int32) -> Int32 {
        let (reading, writing) = makePipe()
        NIOThreadPool.singleton.submit { _ in
            copy(from: descriptor, to: writing)
            Glibc.close(writing)
        }
        return reading
    }

    /// A pipe from which everything is copied into a file.
    private static func piped(to descriptor: Int32, on loop: any EventLoop) -> (Int32, EventLoopFuture<Void>) {
        let (reading, writing) = makePipe()
        let written = NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            copy(from: reading, to: descriptor)
            Glibc.close(reading)
        }
        return (writing, written.map { _ in })
    }

    private static func makePipe() -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        pipe(&ends)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func copy(from source: Int32, to sink: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(source, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            var rest = buffer[..<count]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { write(sink, $0.baseAddress, $0.count) }
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return }
                rest = rest.dropFirst(written)
            }
        }
    }
}
