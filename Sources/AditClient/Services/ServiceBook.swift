// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What `adit status` shows of services and visits; a plain value behind its owner's lock.
struct ServiceBook: Sendable {
    private var services: [String: DeviceStatus.Service] = [:]
    private var names: [String] = []
    private var visits: [Int: DeviceStatus.Visit] = [:]

    /// The services in the order in which they were asked for.
    var serviceRows: [DeviceStatus.Service] { names.compactMap { services[$0] } }

    /// The visits in the order in which they were asked for.
    var visitRows: [DeviceStatus.Visit] { visits.sorted { $0.key < $1.key }.map(\.value) }

    /// Keeps the figures of services that stay.
    mutating func replace(with orders: [ServiceOrder]) {
        let former = services
        services = [:]
        names = []
        for order in orders {
            var row = DeviceStatus.Service(order)
            if let old = former[order.name] { row.keepFigures(of: old) }
            if services.updateValue(row, forKey: order.name) == nil { names.append(order.name) }
        }
    }

    mutating func took(_ news: ServiceNews) {
        switch news {
        case .came(let visitor):
            services[visitor.service]?.streamsNow += 1
            services[visitor.service]?.streamsTotal += 1
            services[visitor.service]?.devices[visitor.device, default: 0] += 1
        case .left(let visitor, let figures):
            guard var row = services[visitor.service] else { return }
            row.streamsNow = max(0, row.streamsNow - 1)
            let left = row.devices[visitor.device, default: 1] - 1
            row.devices[visitor.device] = left > 0 ? left : nil
            row.traffic.add(figures)
            services[visitor.service] = row
        case .refused(let visitor): services[visitor.service]?.refused += 1
        case .targetFailed(let name, let failure):
            let error = ServiceProblem.target(failure, services[name]?.target ?? "")
            services[name]?.code = error.code.description
            services[name]?.problem = error.description
        case .targetAnswers(let name):
            services[name]?.code = nil
            services[name]?.problem = nil
        }
    }

    mutating func listens(_ number: Int, _ order: VisitOrder, at endpoint: IPEndpoint?) {
        visits[number] = DeviceStatus.Visit(order, at: endpoint)
    }

    mutating func took(_ news: VisitNews, of number: Int) {
        switch news {
        case .came:
            visits[number]?.streamsNow += 1
            visits[number]?.streamsTotal += 1
            visits[number]?.code = nil
            visits[number]?.problem = nil
        case .left(_, let figures):
            visits[number]?.streamsNow -= 1
            visits[number]?.traffic.add(figures)
        case .fellBack: break
        case .failed(_, let error):
            visits[number]?.code = error.code.description
            visits[number]?.problem = error.description
        }
    }
}
