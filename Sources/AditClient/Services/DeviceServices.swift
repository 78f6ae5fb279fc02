// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
import NIOConcurrencyHelpers
package import NIOCore

/// The private services of a process, and the services of others that it visits; any thread may use it.
package final class DeviceServices: Sendable {
    private struct Parts {
        var desk: ServiceDesk
        var watch: TrustWatch?
        var peers: (any ServicePeers)?
        var visits: [Int: ServiceVisits] = [:]
        var next = 0
        var isStopped = false
    }

    /// What happens, in order.
    package enum Event: Sendable, Equatable {
        /// At a service of this device.
        case service(ServiceNews)
        /// At a visit of this device.
        case visit(VisitNews)
    }

    private let eventLoop: any EventLoop
    private let ownKey: KeyFingerprint?
    private let parts: NIOLoopBoundBox<Parts>
    private let book: NIOLockedValueBox<ServiceBook>
    private let tell: @Sendable (Event) -> Void

    /// Makes services of nothing; `tell` hears what happens, on the event loop.
    ///
    /// - Parameters:
    ///   - ownKey: the fingerprint of this device's key.
    ///   - home: where the keys of other devices are kept; nil where none are.
    package init(
        on eventLoop: any EventLoop,
        ownKey: KeyFingerprint?,
        home: DeviceHome?,
        dialer: TargetDialer = TargetDialer(),
        tell: @escaping @Sendable (Event) -> Void
    ) {
        self.eventLoop = eventLoop
        self.ownKey = ownKey
        self.tell = tell
        let book = NIOLockedValueBox(ServiceBook())
        self.book = book
        let box = WeakDesk()
        let watch = home.map { home in
            TrustWatch(home, on: eventLoop) {
                box.desk?.isInUse ?? false
            } changed: {
                box.desk?.reconsider()
            }
        }
        let desk = ServiceDesk(
            dialer: dialer,
            on: eventLoop,
            isTrusted: { watch?.isTrusted($0) ?? true },
            tell: { news in
                book.withLockedValue { $0.took(news) }
                if case .came = news { watch?.begin() }
                tell(.service(news))
            }
        )
        box.desk = desk
        parts = NIOLoopBoundBox.makeBoxSendingValue(Parts(desk: desk, watch: watch), eventLoop: eventLoop)
    }

    /// What `adit status` shows.
    package var status: (services: [DeviceStatus.Service], visits: [DeviceStatus.Visit]) {
        book.withLockedValue { ($0.serviceRows, $0.visitRows) }
    }

    /// Offers these services and no others.
    package func offer(_ orders: [ServiceOrder]) {
        book.withLockedValue { $0.replace(with: orders) }
        onLoop { parts in
            parts.desk.replace(with: orders)
            parts.peers?.announce(parts.desk.names)
        }
    }

    // MARK: The way to other devices, on the event loop

    /// Uses the way to other devices from now on.
    package func use(_ peers: any ServicePeers) {
        parts.value.peers = peers
        peers.announce(parts.value.desk.names)
    }

    /// Takes note of the server whose devices these are, by the fingerprint of its key.
    package func use(server: String) {
        parts.value.watch?.server = server
        parts.value.watch?.begin()
    }

    /// Takes a stream that another device opened, before it is active.
    ///
    /// - Throws: when there is no room for it.
    package func take(_ stream: any Channel, from peer: ServicePeer) throws {
        try parts.value.desk.take(stream, from: peer)
    }

    // MARK: Visits

    /// Opens a local port for a service of another device; the first endpoint, or an `AditError`.
    package func listen(_ order: VisitOrder) -> EventLoopFuture<IPEndpoint> {
        eventLoop.flatSubmit { [self] in
            do throws(AditError) {
                let (number, visits) = try makeVisits(order)
                return visits.listen().map { [book] endpoint in
                    book.withLockedValue { $0.listens(number, order, at: endpoint) }
                    return endpoint
                }
            } catch {
                return eventLoop.makeFailedFuture(error)
            }
        }
    }

    /// Leads one channel, with an `EarlyDataHandler`, to a service of another device; why that could not be done, in the end.
    package func visit(_ channel: any Channel, _ order: VisitOrder) -> EventLoopFuture<AditError?> {
        eventLoop.flatSubmit { [self] in
            do throws(AditError) {
                let (number, visits) = try makeVisits(order)
                book.withLockedValue { $0.listens(number, order, at: nil) }
                return visits.visit(channel)
            } catch {
                channel.close(promise: nil)
                return eventLoop.makeSucceededFuture(error)
            }
        }
    }

    /// Ends every stream, in both directions.
    package func stop() -> EventLoopFuture<Void> {
        eventLoop.submit { [parts] in
            parts.value.isStopped = true
            parts.value.desk.close()
            parts.value.watch?.stop()
            for visits in parts.value.visits.values { visits.close() }
            parts.value.visits = [:]
            parts.value.peers = nil
        }
    }

    private func makeVisits(_ order: VisitOrder) throws(AditError) -> (Int, ServiceVisits) {
        guard let peers = parts.value.peers, !parts.value.isStopped else {
            throw ServiceProblem.noConnection(order.place.device)
        }
        let number = parts.value.next
        parts.value.next += 1
        let (book, tell) = (book, tell)
        let visits = ServiceVisits(order, peers: peers, ownKey: ownKey, on: eventLoop) { news in
            book.withLockedValue { $0.took(news, of: number) }
            tell(.visit(news))
        }
        parts.value.visits[number] = visits
        return (number, visits)
    }

    private func onLoop(_ body: @escaping @Sendable (Parts) -> Void) {
        if eventLoop.inEventLoop { return body(parts.value) }
        eventLoop.execute { [parts] in body(parts.value) }
    }
}

/// The desk as its watch knows it, which does not keep it.
private final class WeakDesk {
    weak var desk: ServiceDesk?
}
