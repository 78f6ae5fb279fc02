// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How long leases last and how many a device may have.
package enum LeaseTerms {
    /// How long a name that is not used stays its device's: nobody else gets it, so that an app that trusted it is not fooled.
    package static let reservation: Duration = .seconds(90 * 24 * 3600)
    /// How many names one device may hold, in use or not.
    package static let namesPerDevice = 200
    /// How many ports one device may hold, in use or not.
    package static let portsPerDevice = 200
}
