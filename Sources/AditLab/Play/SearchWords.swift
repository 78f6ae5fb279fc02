// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// What a side of a search does, in both languages.
enum SearchWords {
    static func plan(_ plan: SearchPlan, _ site: SiteName) -> Text {
        let (name, peer) = (site.rawValue, site.other.rawValue)
        switch (plan.tactic, plan.role) {
        case (.prediction(let window), .prober):
            let first = plan.guesses.first.map(String.init) ?? "-"
            return Text(
                "\(name) tries the ports of \(plan.peer.address) from \(first) on, \(window) at once: \(peer)'s router counts",
                zh: "\(name) 从端口 \(first) 起尝试 \(plan.peer.address)，一次 \(window) 个：\(peer) 的路由器按序分配端口"
            )
        case (.prediction, .opener):
            return Text(
                "\(name) sends to \(plan.peer), and \(peer) guesses from where: \(name)'s router counts",
                zh: "\(name) 发往 \(plan.peer)，由 \(peer) 猜测来源端口：\(name) 的路由器按序分配端口"
            )
        case (.window(let sockets), _):
            return Text(
                "\(name) sends from \(sockets) sockets to \(plan.peer), the middle of \(peer)'s next ports",
                zh: "\(name) 用 \(sockets) 个套接字发往 \(plan.peer)，即 \(peer) 后续端口的中间"
            )
        case (.birthday(let sockets, _), .opener):
            return Text(
                "\(name) opens \(sockets) sockets towards \(plan.peer); its router gives them any ports",
                zh: "\(name) 打开 \(sockets) 个套接字发往 \(plan.peer)，其路由器随机分配端口"
            )
        case (.birthday(_, let probes), .prober):
            return Text(
                "\(name) tries \(probes) ports of \(plan.peer.address) among \(plan.range.count), at random",
                zh: "\(name) 在 \(plan.peer.address) 的 \(plan.range.count) 个端口中随机尝试 \(probes) 个"
            )
        case (.block(let probes), _):
            return Text(
                "\(name) tries \(probes) ports of \(peer)'s block at \(plan.peer.address), while \(peer) does the same",
                zh: "\(name) 在 \(plan.peer.address) 上 \(peer) 的端口块中尝试 \(probes) 个，对端同样如此"
            )
        }
    }
}
