// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a NAT knows of the packets between a mapping and one remote endpoint.
struct NATFlow {
    var expiry: Int64
    /// A connection was made and is not over (TCP).
    private(set) var isEstablished = false
    /// RST, or FIN from both sides (TCP).
    private(set) var isOver = false
    /// The first SYN was answered with RST (TCP).
    private(set) var isRefused = false

    private var sentSYN = false
    private var gotSYN = false
    private var sentFIN = false
    private var gotFIN = false
    private var firstSequence: UInt32 = 0

    init(expiry: Int64) {
        self.expiry = expiry
    }

    /// Follows the connection; false when the segment does not fit into it. Nothing to do for a datagram.
    mutating func take(_ segment: LabSegment?, fromInside: Bool, tracksWindows: Bool) -> Bool {
        guard let segment else { return true }
        let flags = segment.flags
        if flags.contains(.rst) {
            isRefused = !fromInside && sentSYN && !gotSYN && !isEstablished
            isEstablished = false
            isOver = true
            return true
        }
        if flags.contains(.syn) {
            if isOver {
                self = NATFlow(expiry: expiry)
            }
            if fromInside {
                // Both SYNs are known, and another socket's number is not the one that the first SYN announced.
                if tracksWindows, sentSYN, gotSYN, segment.sequence != firstSequence { return false }
                sentSYN = true
                firstSequence = segment.sequence
            } else {
                gotSYN = true
            }
            return true
        }
        guard sentSYN || gotSYN else { return false }
        if flags.contains(.ack), sentSYN, gotSYN, !isOver { isEstablished = true }
        if flags.contains(.fin) {
            if fromInside { sentFIN = true } else { gotFIN = true }
            if sentFIN, gotFIN {
                isEstablished = false
                isOver = true
            }
        }
        return true
    }
}
