// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// One end of a real TCP connection, read and written by hand.
final class TestWire: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    enum Fault: Error, Equatable {
        case timeout(String)
        case ended(String)
    }

    private struct Waiter {
        var wants: @Sendable (ByteBuffer, Bool) -> Int?
        var continuation: CheckedContinuation<[UInt8], any Error>
        /// Cancelled with the wait, or it would end a later one.
        var timer: Scheduled<Void>
    }

    private struct State {
        var bytes = ByteBuffer()
        var received = 0
        var isEnded = false
        var error: String?
        var waiter: Waiter?
    }

    private let state = NIOLockedValueBox(State())
    private let channelBox = NIOLockedValueBox<(any Channel)?>(nil)

    var channel: any Channel {
        get throws {
            guard let channel = channelBox.withLockedValue({ $0 }) else { throw ChannelError.ioOnClosedChannel }
            return channel
        }
    }

    /// Bytes received so far.
    var received: Int { state.withLockedValue { $0.received } }

    static func connect(port: Int) async throws -> TestWire {
        let wire = TestWire()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try wire.install(channel) }
            }
            .connect(host: "127.0.0.1", port: port).get()
        _ = channel
        return wire
    }

    func install(_ channel: any Channel) throws {
        channelBox.withLockedValue { $0 = channel }
        try channel.pipeline.syncOperations.addHandler(self)
    }

    // MARK: Sending

    func send(_ text: String) async throws {
        try await send(Array(text.utf8))
    }

    func send(_ bytes: [UInt8]) async throws {
        let channel = try channel
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    func closeOutput() async throws {
        try await channel.close(mode: .output)
    }

    func close() {
        channelBox.withLockedValue { $0 }?.close(promise: nil)
    }

    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
    }

    // MARK: Receiving

    /// Takes everything up to and including `marker`.
    func read(until marker: String) async throws -> String {
        let marker = Array(marker.utf8)
        let bytes = try await read("until \(marker)") { bytes, _ in
            let view = bytes.readableBytesView
            return view.firstRange(of: marker).map { $0.upperBound - view.startIndex }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func read(count: Int) async throws -> [UInt8] {
        try await read("\(count) bytes") { bytes, _ in bytes.readableBytes >= count ? count : nil }
    }

    /// Takes everything up to the end of the data, however it comes.
    func readToEnd() async throws -> String {
        String(
            decoding: try await read("to the end") { bytes, isEnded in isEnded ? bytes.readableBytes : nil },
            as: UTF8.self
        )
    }

    private func read(_ what: String, _ wants: @escaping @Sendable (ByteBuffer, Bool) -> Int?) async throws -> [UInt8] {
        let channel = try channel
        return try await withCheckedThrowingContinuation { continuation in
            channel.eventLoop.execute {
                let timer = channel.eventLoop.scheduleTask(in: .seconds(20)) {
                    self.state.withLockedValue { state in
                        defer { state.waiter = nil }
                        let got = String(buffer: state.bytes).prefix(2_000)
                        state.waiter?.continuation.resume(throwing: Fault.timeout("waited for \(what), got: \(got)"))
                    }
                }
                self.state.withLockedValue { state in
                    state.waiter = Waiter(wants: wants, continuation: continuation, timer: timer)
                }
                self.serve()
            }
        }
    }

    private func serve() {
        state.withLockedValue { state in
            guard let waiter = state.waiter else { return }
            if let count = waiter.wants(state.bytes, state.isEnded) {
                state.waiter = nil
                waiter.timer.cancel()
                let taken = state.bytes.readBytes(length: count) ?? []
                waiter.continuation.resume(returning: taken)
            } else if state.isEnded {
                state.waiter = nil
                waiter.timer.cancel()
                let got = String(buffer: state.bytes).prefix(2_000)
                waiter.continuation.resume(throwing: Fault.ended("\(state.error ?? "end of data"), got: \(got)"))
            }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        state.withLockedValue { state in
            state.received += buffer.readableBytes
            state.bytes.writeBuffer(&buffer)
        }
        serve()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { end(nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end("\(error)")
        context.close(promise: nil)
    }

    private func end(_ error: String?) {
        state.withLockedValue { state in
            state.isEnded = true
            if state.error == nil { state.error = error }
        }
        serve()
    }
}

extension TestWire {
    /// A message read by hand, so that the tests do not trust the parser under test.
    struct Message {
        var startLine: String
        var fields: [(name: String, value: String)]
        var body: [UInt8]
        var trailers: [(name: String, value: String)]

        var text: String { String(decoding: body, as: UTF8.self) }
        var status: Int { Int(startLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }

        subscript(name: String) -> String? { all(name).first }

        func all(_ name: String) -> [String] {
            fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
        }
    }

    func readHead() async throws -> Message {
        let lines = try await read(until: "\r\n\r\n").split(separator: "\r\n").map(String.init)
        return Message(startLine: lines.first ?? "", fields: lines.dropFirst().map(Self.field), body: [], trailers: [])
    }

    /// Reads a whole message; `isBodiless` for the response to HEAD.
    func readMessage(isBodiless: Bool = false) async throws -> Message {
        var message = try await readHead()
        let isResponse = message.startLine.hasPrefix("HTTP/")
        if isBodiless || message.status == 204 || message.status == 304 || (isResponse && message.status < 200) {
            return message
        }
        if message["transfer-encoding"] == "chunked" {
            while true {
                let line = try await read(until: "\r\n").dropLast()
                guard let size = Int(line, radix: 16) else { throw Fault.ended("bad chunk size \(line)") }
                if size == 0 { break }
                message.body += try await read(count: size)
                _ = try await read(count: 2)
            }
            while true {
                let line = String(try await read(until: "\r\n").dropLast())
                if line.isEmpty { break }
                message.trailers.append(Self.field(line))
            }
        } else if let length = message["content-length"].flatMap({ Int($0) }) {
            message.body = try await read(count: length)
        } else if isResponse {
            message.body = Array(try await readToEnd().utf8)
        }
        return message
    }

    private static func field(_ line: String) -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: ":") else { return (line, "") }
        return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
    }
}
