// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import CAditPlatform
import NIOCore

/// Tells when this machine's addresses or routes have become others (rtnetlink(7)).
///
/// A change comes as many messages; the network is looked at once they have been quiet for a moment.
final class NetworkWatch {
    private static let quiet = TimeAmount.milliseconds(250)

    private let descriptor: CInt
    private let interface: String?
    private let eventLoop: any EventLoop
    private let tell: (LocalNetwork) -> Void
    private var last: LocalNetwork
    private var token: UInt64?
    private var look: Scheduled<Void>?
    private var isOpen = true

    /// Begins to watch all interfaces, or the named one alone; nil when the system does not let it. Called on the event loop, where `tell` is called too.
    init?(of interface: String?, on eventLoop: any EventLoop, tell: @escaping (LocalNetwork) -> Void) {
        descriptor = adit_network_watch()
        self.interface = interface
        self.eventLoop = eventLoop
        self.tell = tell
        last = Self.network(interface)
        guard descriptor >= 0 else { return nil }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        token = SocketReadiness.shared?.add(descriptor, on: eventLoop) { _ in bound.value.changed() }
        guard token != nil else {
            adit_close(descriptor)
            return nil
        }
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        look?.cancel()
        if let token { SocketReadiness.shared?.remove(token) }
        adit_close(descriptor)
    }

    private func changed() {
        guard isOpen, let token else { return }
        if adit_network_changed(descriptor) != 0, look == nil {
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            look = eventLoop.scheduleTask(in: Self.quiet) { bound.value.compare() }
        }
        SocketReadiness.shared?.armAgain(descriptor, token)
    }

    private func compare() {
        look = nil
        guard isOpen else { return }
        let network = Self.network(interface)
        guard network != last else { return }
        last = network
        tell(network)
    }

    private static func network(_ interface: String?) -> LocalNetwork {
        guard let interface else { return .current() }
        return .current(interface: interface) ?? LocalNetwork(interfaces: [])
    }
}
