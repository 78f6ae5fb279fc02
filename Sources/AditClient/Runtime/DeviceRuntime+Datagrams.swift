// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import NIOConcurrencyHelpers
import NIOCore

/// The datagrams of udp and game tunnels.
extension DeviceRuntime {
    /// Whether a work connection is for datagrams: of a game tunnel those name no visitor (docs/wire.md).
    static func carriesDatagrams(_ start: FRPStartWorkConnection, _ order: TunnelOrder) -> Bool {
        order.kind == .udp || (order.kind == .game && start.sourceAddress.isEmpty)
    }

    func serveDatagrams(
        _ channel: any Channel,
        _ order: TunnelOrder,
        generation: Int,
        treatment: VisitorTreatment?
    ) {
        let name = order.name
        guard let tally = state.withLockedValue({ $0.tunnels[name]?.tally }) else { return channel.close(promise: nil) }
        var terms = DatagramService.Terms(target: order.target, idleTimeout: order.idleTimeout ?? .seconds(60))
        terms.allowed = order.targetAllow
        terms.treatment = treatment
        datagrams.use(channel, framing: .adit, for: name, generation: generation) { [self, terms] loop in
            DatagramService(terms, dialer: dialer, tally: tally, on: loop) { [weak self] news in
                self?.heard(news, of: order, generation: generation)
            }
        }
    }

    private func heard(_ news: DatagramNews, of order: TunnelOrder, generation: Int) {
        let name = order.name
        switch news {
        case .came(let visitor): tell(.datagramVisitorCame(tunnel: name, visitor: visitor.address.description))
        case .left(let visit): tell(.datagramVisitorLeft(tunnel: name, visit))
        case .answered:
            if order.kind == .udp { judge(.unproven, of: name, generation: generation) }
        case .refused:
            // A game may well have no UDP; and here the port itself is looked at.
            guard order.kind == .udp else { return }
            if order.target.isLoopback {
                probe(name)
            } else {
                judge(.failed(.refused), of: name, generation: generation)
            }
        case .unreachable(let failure):
            if order.kind == .udp { judge(.failed(failure), of: name, generation: generation) }
        }
    }
}

/// What people are told of targets of UDP.
enum DatagramWords {
    static func nothingListens(_ target: TunnelTarget) -> AditError {
        guard target.isLoopback else {
            return AditError(
                .nothingListens,
                Text("nobody takes UDP at \(target)", zh: "\(target) 没有程序接收 UDP"),
                why: [Text("that machine refused a datagram, or cannot be found", zh: "那台机器拒绝了数据报，或无法找到")],
                fix: Text("start the service there, or name its port", zh: "在那里启动服务，或改正端口")
            )
        }
        return AditError(
            .nothingListens,
            Text("no program here has UDP port \(target.port) open", zh: "本机没有程序打开 UDP 端口 \(target.port)"),
            fix: Text("start the service; datagrams reach it from then on", zh: "启动服务，之后数据报即可到达")
        )
    }
}
