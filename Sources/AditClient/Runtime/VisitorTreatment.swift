// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTransport
package import AditWire
package import NIOCore

/// What a tunnel does with its visitors' connections at the device beyond joining them with the target.
package struct VisitorTreatment: Sendable {
    /// Shares a bandwidth among the bytes of all visitors; nil for no limit.
    var fromVisitors: BandwidthLimiter?
    /// Shares a bandwidth among the bytes of the target; nil for no limit.
    var toVisitors: BandwidthLimiter?
    /// The PROXY protocol in which the target is told who its visitor is; nil for not at all.
    var proxyProtocol: ProxyProtocolVersion?

    /// Makes the treatment of a tunnel's visitors, to be used for all of them; `isShared` gives both directions one bandwidth.
    package init(
        bandwidth: Bandwidth?,
        isShared: Bool = false,
        proxyProtocol: ProxyProtocolVersion?,
        on loop: any EventLoop
    ) {
        fromVisitors = bandwidth.map { BandwidthLimiter($0, on: loop) }
        toVisitors = isShared ? fromVisitors : bandwidth.map { BandwidthLimiter($0, on: loop) }
        self.proxyProtocol = proxyProtocol
    }

    /// Whether bytes have to pass the handlers of this treatment.
    var isShaped: Bool { fromVisitors != nil || toVisitors != nil }

    /// What is sent to the target before a visitor's bytes; nil for nothing.
    ///
    /// - Parameter isDatagram: whether the target gets datagrams, each session's first one with this in front.
    package func preface(_ start: FRPStartWorkConnection, isDatagram: Bool = false) -> ByteBuffer? {
        guard let proxyProtocol else { return nil }
        let source = IPAddress(start.sourceAddress).map { IPEndpoint($0, start.sourcePort) }
        let destination = IPAddress(start.destinationAddress).map { IPEndpoint($0, start.destinationPort) }
        return Self.header(proxyProtocol, from: source, to: destination, isDatagram: isDatagram)
    }

    /// The header for a visitor, as bytes.
    package static func header(
        _ version: ProxyProtocolVersion,
        from source: IPEndpoint?,
        to destination: IPEndpoint?,
        isDatagram: Bool
    ) -> ByteBuffer {
        var bytes: [UInt8] = []
        let header = ProxyHeader(visitor: source, to: destination, transport: isDatagram ? .datagram : .stream)
        header.encode(version, into: &bytes)
        return ByteBuffer(bytes: bytes)
    }

    /// Puts the handlers into both connections, on their event loop.
    func shape(visitor: any Channel, service: any Channel) throws {
        if let fromVisitors {
            try visitor.pipeline.syncOperations.addHandler(BandwidthReadHandler(fromVisitors))
        }
        if let toVisitors {
            try service.pipeline.syncOperations.addHandler(BandwidthReadHandler(toVisitors))
        }
    }
}
