// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditWire

/// What happens at the services of this device.
package enum ServiceNews: Sendable, Equatable {
    /// A device opened a stream to a service, and may.
    case came(ServiceVisitor)
    /// Its stream is over.
    case left(ServiceVisitor, ServiceFigures)
    /// A device asked for a service that is not there, or not for it.
    case refused(ServiceVisitor)
    /// Where a service leads nobody answers.
    case targetFailed(service: String, TargetFailure)
    /// Where a service leads somebody answers again.
    case targetAnswers(service: String)
}

/// Who has a stream to a service.
package struct ServiceVisitor: Sendable, Hashable {
    /// The service's name.
    package var service: String
    /// The device's name.
    package var device: String
    /// What the stream carries.
    package var kind: ServiceKind

    /// Makes one from its parts.
    package init(service: String, device: String, kind: ServiceKind) {
        self.service = service
        self.device = device
        self.kind = kind
    }
}

/// What passed over a stream of a service.
package struct ServiceFigures: Sendable, Equatable {
    /// How long it was open.
    package var duration = Duration.zero
    /// Bytes that came from the other device.
    package var bytesIn: UInt64 = 0
    /// Bytes that went to the other device.
    package var bytesOut: UInt64 = 0
    /// Datagrams that came from the other device.
    package var datagramsIn: UInt64 = 0
    /// Datagrams that went to the other device.
    package var datagramsOut: UInt64 = 0
    /// Datagrams of both directions that were thrown away.
    package var drops: UInt64 = 0

    /// Makes figures of nothing.
    package init() {}

    /// Adds what passed over another stream; durations are not added.
    package mutating func add(_ other: ServiceFigures) {
        bytesIn &+= other.bytesIn
        bytesOut &+= other.bytesOut
        datagramsIn &+= other.datagramsIn
        datagramsOut &+= other.datagramsOut
        drops &+= other.drops
    }
}
