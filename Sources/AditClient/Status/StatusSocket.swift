// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import FoundationEssentials
import Glibc
package import NIOCore
import NIOPosix

/// The Unix socket at which a running process tells its status: whoever connects is sent one JSON object.
///
/// The socket lies in a folder that only this user may enter, and it takes no commands.
package struct StatusSocket: Sendable {
    private let channel: any Channel
    private let path: String

    /// Opens the socket of this process; `status` is called for each question.
    ///
    /// - Throws: `ErrorCode.state` when the folder cannot be used.
    package static func open(
        in home: DeviceHome,
        group: any EventLoopGroup,
        status: @escaping @Sendable () -> DeviceStatus
    ) async throws -> StatusSocket {
        try home.prepare()
        let path = "\(home.runFolder)/\(getpid()).sock"
        let place = SocketPlace(path)
        defer { place.release() }
        unlink(path)
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.addHandler(StatusAnswer(status))
                }
            }
            .bind(unixDomainSocketPath: place.reachable)
            .get()
        chmod(path, 0o600)
        return StatusSocket(channel: channel, path: path)
    }

    /// Closes the socket and removes its file.
    package func close() async {
        try? await channel.close()
        unlink(path)
    }

    /// Asks every running process of this home, and removes the sockets that nobody answers at.
    package static func askAll(in home: DeviceHome) -> [DeviceStatus] {
        var answers: [DeviceStatus] = []
        for name in SmallFile.entries(of: home.runFolder).sorted() where name.hasSuffix(".sock") {
            let path = "\(home.runFolder)/\(name)"
            switch ask(path) {
            case .success(let bytes):
                if let status = try? JSONDecoder().decode(DeviceStatus.self, from: Data(bytes)) {
                    answers.append(status)
                }
            case .failure(let error):
                if error.number == ECONNREFUSED { unlink(path) }
            }
        }
        return answers.sorted { $0.startedAt < $1.startedAt }
    }

    private struct Failure: Error { let number: Int32 }

    /// Reads what the socket sends, at most 4 MiB and for at most two seconds between two pieces.
    private static func ask(_ path: String) -> Result<[UInt8], Failure> {
        let place = SocketPlace(path)
        defer { place.release() }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return .failure(Failure(number: errno)) }
        defer { Glibc.close(descriptor) }
        var patience = timeval(tv_sec: 2, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(place.reachable.utf8).prefix(107)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return .failure(Failure(number: errno)) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < 4 << 20 {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += chunk[..<count]
        }
        return .success(bytes)
    }
}

/// A path for a socket address, which holds 107 bytes: a longer one is reached through its folder's descriptor.
private struct SocketPlace {
    let reachable: String
    private let folder: Int32

    init(_ path: String) {
        guard path.utf8.count > 107, let slash = path.lastIndex(of: "/") else {
            reachable = path
            folder = -1
            return
        }
        folder = open(String(path[..<slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        reachable = folder >= 0 ? "/proc/self/fd/\(folder)\(path[slash...])" : path
    }

    func release() {
        if folder >= 0 { Glibc.close(folder) }
    }
}

/// Sends the status to a connection and closes it.
private final class StatusAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let status: @Sendable () -> DeviceStatus

    init(_ status: @escaping @Sendable () -> DeviceStatus) {
        self.status = status
    }

    func channelActive(context: ChannelHandlerContext) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = (try? encoder.encode(status())).map { Array($0) } ?? []
        let buffer = context.channel.allocator.buffer(bytes: bytes + [UInt8(ascii: "\n")])
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in channel.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
