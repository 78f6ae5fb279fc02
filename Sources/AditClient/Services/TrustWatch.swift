// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import AditTraversal
import NIOCore
import NIOPosix

/// Notices that a person accepted another key for a device (`adit trust`), while something depends on it; lives on its event loop.
final class TrustWatch {
    private static let interval = TimeAmount.milliseconds(500)

    private let home: DeviceHome
    private let eventLoop: any EventLoop
    private let isNeeded: () -> Bool
    private let changed: () -> Void
    private var known = KnownDevices()
    private var timer: Scheduled<Void>?
    /// The fingerprint of the server's key, as the file has it.
    var server = ""

    /// Makes a watch that looks for as long as `isNeeded`, and calls `changed` after a change.
    init(
        _ home: DeviceHome,
        on eventLoop: any EventLoop,
        isNeeded: @escaping () -> Bool,
        changed: @escaping () -> Void
    ) {
        self.home = home
        self.eventLoop = eventLoop
        self.isNeeded = isNeeded
        self.changed = changed
    }

    /// Whether the key is the one that the name has, or the first that it ever had.
    func isTrusted(_ id: PathPeerID) -> Bool {
        guard let key = known.key(of: id.name, at: server) else { return true }
        return key.description == id.key
    }

    /// Looks, now and then for as long as it is needed.
    func begin() {
        guard timer == nil else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(in: .zero) { [weak self] in self?.look() }
    }

    func stop() {
        timer?.cancel()
        timer = nil
    }

    private func look() {
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { [home] in try home.knownDevices() }.assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self, timer != nil else { return }
                // While the file cannot be read, what was read last holds.
                if let found = try? result.get(), found != known {
                    known = found
                    changed()
                }
                timer = nil
                guard isNeeded() else { return }
                timer = eventLoop.assumeIsolated().scheduleTask(in: Self.interval) { [weak self] in self?.look() }
            }
    }
}
