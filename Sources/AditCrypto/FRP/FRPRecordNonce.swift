// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The nonces of one direction of a wire v2 control stream: the start nonce, then one more for each record.
struct FRPRecordNonce: Sendable {
    /// The records that one AES-256-GCM key may protect (NIST SP 800-38D section 8.3).
    static let recordLimit: UInt64 = 1 << 32

    /// The nonce that was sent in clear.
    let start: [UInt8]
    private var next: [UInt8]
    private var records: UInt64

    /// Starts counting; `records` is other than 0 only in tests of the limit.
    init(start: [UInt8], records: UInt64 = 0) {
        self.start = start
        next = start
        self.records = records
    }

    /// The nonce of the next record; throws `recordLimit` at the end of the count.
    mutating func advance() throws(CryptoError) -> [UInt8] {
        guard records < Self.recordLimit else { throw .recordLimit }
        let nonce = next
        records += 1
        for index in next.indices.reversed() {
            next[index] &+= 1
            if next[index] != 0 { return nonce }
        }
        // The big-endian number wrapped: the nonces that follow would begin at zero, which no peer expects.
        records = Self.recordLimit
        return nonce
    }

    /// What each record authenticates besides its text: the start nonce and the record's length field.
    func additionalData(length: UInt32) -> [UInt8] {
        var data = start
        for shift in [24, 16, 8, 0] as [UInt32] { data.append(UInt8(truncatingIfNeeded: length >> shift)) }
        return data
    }
}
