// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import Testing

struct TokenProgramTests {
    @Test func aProgramPrintsTheSecret() throws {
        let text = try TokenProgram.output(
            of: "/bin/sh",
            ["-c", "printf %s \"$SECRET-$1\"", "x", "y"],
            environment: ["SECRET": "s"]
        )
        #expect(text == "s-y")
    }

    @Test func aProgramThatFailsOrIsNotThereIsAFault() {
        #expect(throws: TokenProgram.Fault.ended(status: 3)) {
            try TokenProgram.output(of: "/bin/sh", ["-c", "exit 3"], environment: [:])
        }
        #expect(throws: TokenProgram.Fault.self) {
            try TokenProgram.output(of: "/nowhere/at/all", [], environment: [:])
        }
    }

    @Test func aProgramThatPrintsWithoutEndIsStopped() {
        #expect(throws: TokenProgram.Fault.self) {
            try TokenProgram.output(of: "/bin/sh", ["-c", "exec cat /dev/zero"], environment: [:])
        }
    }
}
