// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditQUIC

/// Why a QUIC connection is over.
package enum QUICEnd: Sendable, Hashable {
    /// `close` was called.
    case closedHere
    /// The peer closed it, with its application's code or QUIC's.
    case closedByPeer(code: UInt64, isApplication: Bool)
    /// A fault of the peer, with QUIC's code (RFC 9000 section 20.1); from 0x100 on an alert of TLS (RFC 9001 section 4.8).
    case failed(code: UInt64, String)
    /// The peer did not answer in time.
    case timedOut

    /// Whether the peer has not proved the key that was expected of it.
    package var isWrongKey: Bool {
        // bad_certificate, or what the other end says of ours.
        switch self {
        case .failed(0x12A, _), .closedByPeer(0x12A, false): true
        default: false
        }
    }
}

/// What a QUIC connection measures.
package struct QUICFigures: Sendable, Hashable {
    /// The smoothed round trip; nil before the first is measured.
    package var roundTrip: Duration?
    /// The least of late.
    package var leastRoundTrip: Duration?
    /// How many bytes may be on their way at once.
    package var congestionWindow: Int
    /// How many are.
    package var inFlight: Int
    /// At what rate bytes arrive, in bytes a second.
    package var deliveryRate: Int

    init(_ raw: adit_quic_figures) {
        if raw.smoothed_round_trip > 0 {
            roundTrip = .nanoseconds(Int64(clamping: raw.smoothed_round_trip))
            leastRoundTrip = .nanoseconds(Int64(clamping: raw.least_round_trip))
        }
        congestionWindow = Int(clamping: raw.congestion_window)
        inFlight = Int(clamping: raw.in_flight)
        deliveryRate = Int(clamping: raw.delivery_rate)
    }
}
