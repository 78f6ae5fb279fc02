// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The page that an Adit server answers for its own names with 204 and no body, so that a sign-in page in its place shows.
package enum ServerCheck {
    /// Its path.
    package static let path = "/.well-known/adit-check"
    /// What the server answers.
    package static let status = 204
    /// The field that each page of an Adit server itself has; an app's and a portal's have not.
    package static let errorField = "Adit-Error"
}
