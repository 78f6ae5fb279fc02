// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What is wrong with the text of one value, without its place in a file.
package struct ValueFault: Error, Sendable, Equatable {
    /// What is wrong, one sentence without a full stop.
    package var what: Text

    /// Makes a fault from what is wrong.
    package init(_ what: Text) {
        self.what = what
    }
}
