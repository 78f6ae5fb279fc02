// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How much is written to the log, least first.
package enum LogLevel: String, Sendable, Hashable, CaseIterable {
    case error
    case warn
    case info
    case debug
    case trace
}
