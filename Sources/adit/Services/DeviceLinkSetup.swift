// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditTransport
import NIOCore

/// A runtime with its session, its paths and its services, as commands make it.
struct DeviceLinkSetup: Sendable {
    let runtime: DeviceRuntime
    let services: DeviceServices
    private let session: DeviceSession

    /// Puts the parts together; nothing happens before `start`.
    init(
        _ choice: ServerChoice,
        _ home: DeviceHome,
        _ options: SessionOptions,
        orders: [TunnelOrder],
        services offered: [ServiceOrder] = [],
        loop: any EventLoop,
        tell: @escaping @Sendable (DeviceEvent) -> Void
    ) throws {
        runtime = DeviceRuntime(server: choice.server, orders: orders, loop: loop, tell: tell)
        var configuration = TunnelRun.configuration(choice)
        let key = try home.deviceKey()
        services = DeviceServices(on: loop, ownKey: KeyFingerprint(of: key.publicKey.bytes), home: home) { event in
            switch event {
            case .service(let news): tell(.service(news))
            case .visit(let news): tell(.visit(news))
            }
        }
        services.offer(offered)
        if var paths = options.paths.options() {
            // Whoever came for nothing else wants to be found at once.
            paths.staysReady = orders.isEmpty || !offered.isEmpty
            runtime.usePaths(
                PathService.Parts(
                    key: key,
                    home: home,
                    server: choice.server,
                    trust: choice.trust,
                    options: paths
                )
            )
            runtime.useServices(services)
            configuration.takesSignals = true
        }
        session = DeviceSession(
            configuration: configuration,
            eventLoop: loop,
            delegate: runtime,
            logger: CommandLog.silent
        )
    }

    /// Begins to connect.
    func start() {
        runtime.start(session)
    }
}
