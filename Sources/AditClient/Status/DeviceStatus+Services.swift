// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension DeviceStatus {
    /// What passed over streams that have ended.
    package struct Traffic: Sendable, Equatable, Codable {
        /// Bytes that came from other devices.
        package var bytesIn: UInt64 = 0
        /// Bytes that went to other devices.
        package var bytesOut: UInt64 = 0
        /// Datagrams that came from other devices.
        package var datagramsIn: UInt64 = 0
        /// Datagrams that went to other devices.
        package var datagramsOut: UInt64 = 0
        /// Datagrams that were thrown away.
        package var droppedDatagrams: UInt64 = 0

        /// Makes traffic of nothing.
        package init() {}

        mutating func add(_ figures: ServiceFigures) {
            bytesIn &+= figures.bytesIn
            bytesOut &+= figures.bytesOut
            datagramsIn &+= figures.datagramsIn
            datagramsOut &+= figures.datagramsOut
            droppedDatagrams &+= figures.drops
        }
    }

    /// A private service of the process.
    package struct Service: Sendable, Equatable, Codable {
        /// What other devices call it.
        package var name: String
        /// `tcp`, `udp` or `game`.
        package var kind: String
        /// Where it leads.
        package var target: String
        /// The devices that may come; empty for every device of the server.
        package var allow: [String]
        /// Whether visitors have to know a secret.
        package var hasSecret: Bool
        /// Streams open now.
        package var streamsNow = 0
        /// Streams since the process began.
        package var streamsTotal: UInt64 = 0
        /// Requests of devices that may not come.
        package var refused: UInt64 = 0
        /// How many streams each device has open.
        package var devices: [String: Int] = [:]
        /// What passed over streams that have ended.
        package var traffic = Traffic()
        /// The code of what is wrong with the target; nil when nothing is known to be.
        package var code: String?
        /// What is wrong with the target, in English.
        package var problem: String?

        init(_ order: ServiceOrder) {
            name = order.name
            kind = order.kind.rawValue
            target = order.target.description
            allow = order.allow
            hasSecret = !order.secret.isEmpty
        }

        mutating func keepFigures(of old: Service) {
            streamsNow = old.streamsNow
            streamsTotal = old.streamsTotal
            refused = old.refused
            devices = old.devices
            traffic = old.traffic
            guard target == old.target else { return }
            code = old.code
            problem = old.problem
        }
    }

    /// A local port that leads to a service of another device.
    package struct Visit: Sendable, Equatable, Codable {
        /// The other device.
        package var device: String
        /// Its service.
        package var service: String
        /// `tcp`, `udp` or `both`.
        package var kind: String
        /// Where it listens here; nil for one without a port.
        package var local: String?
        /// Streams open now.
        package var streamsNow = 0
        /// Streams since the process began.
        package var streamsTotal: UInt64 = 0
        /// What passed over streams that have ended.
        package var traffic = Traffic()
        /// The code of why the last visit failed; nil when it did not.
        package var code: String?
        /// Why the last visit failed, in English.
        package var problem: String?

        init(_ order: VisitOrder, at endpoint: IPEndpoint?) {
            device = order.place.device
            service = order.place.service
            kind = order.kind.rawValue
            local = endpoint?.description
        }
    }
}
