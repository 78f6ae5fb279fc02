// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTransport
package import AditTraversal
package import NIOCore

/// Asks this network's router for ports, on real sockets, until it is stopped; then it gives them back.
package final class PortMapSession: Sendable {
    private let driver: SocketMachineDriver<PortMappingClient>
    private let ended: EventLoopPromise<[PortMapping]>

    /// How long the end may take.
    private static var patience: TimeAmount { .seconds(5) }
    /// How long a name may take to resolve.
    private static var lookupLimit: TimeAmount { .seconds(6) }

    /// Makes a session that does nothing before `start`.
    package init(
        _ configuration: PortMappingClient.Configuration,
        on eventLoop: any EventLoop,
        onEvent: @escaping @Sendable (PortMappingEvent) -> Void
    ) {
        let ended = eventLoop.makePromise(of: [PortMapping].self)
        self.ended = ended
        driver = SocketMachineDriver(
            PortMappingClient(configuration: configuration, random: SystemRandomNumberGenerator()),
            on: eventLoop,
            watchesNetwork: true
        ) { event in
            if case .withdrawn(let unconfirmed) = event { ended.succeed(unconfirmed) }
            onEvent(event)
        }
    }

    /// Begins; once, and followed by `stop`.
    package func start() {
        driver.start()
    }

    /// Gives every port back, and ends; the ports of which the router did not say that they are closed.
    package func stop() async -> [PortMapping] {
        driver.update { $0.withdraw(at: Clock.monotonic.now()) }
        let limit = driver.eventLoop.scheduleTask(in: Self.patience) { [ended] in ended.succeed([]) }
        let left = (try? await ended.futureResult.get()) ?? []
        limit.cancel()
        try? await driver.cancel().get()
        return left
    }

    /// The addresses of a server by name; IPv4 first, at most four.
    ///
    /// - Throws: `ErrorCode.nameDoesNotResolve`.
    package static func endpoints(of place: HostPort, on loop: any EventLoop) async throws(AditError) -> [IPEndpoint] {
        if let address = IPAddress(place.host) { return [IPEndpoint(address.unmapped, place.port)] }
        let result = loop.makePromise(of: [SocketAddress].self)
        NameLookup.addresses(of: place.host, port: place.port, on: loop).cascade(to: result)
        let limit = loop.scheduleTask(in: lookupLimit) {
            result.fail(
                NameLookup.Failure(description: "no answer in \(Self.lookupLimit.nanoseconds / 1_000_000_000) s")
            )
        }
        defer { limit.cancel() }
        do {
            let found = try await result.futureResult.get().compactMap { address in
                address.ipAddress.flatMap { IPAddress($0) }.map { IPEndpoint($0.unmapped, place.port) }
            }
            let ordered =
                found.filter { !$0.description.hasPrefix("[") } + found.filter { $0.description.hasPrefix("[") }
            return Array(ordered.prefix(4))
        } catch {
            throw AditError(
                .nameDoesNotResolve,
                Text("The name \(place.host) does not resolve", zh: "无法解析域名 \(place.host)"),
                why: [Text(verbatim: "\(error)")],
                fix: Text(
                    "check the spelling and this computer's DNS, or name the server by its address",
                    zh: "请检查拼写和本机的 DNS，或直接用地址指定服务器"
                )
            )
        }
    }
}
