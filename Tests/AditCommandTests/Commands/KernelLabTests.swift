// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Testing

@testable import adit

@Suite struct KernelLabTests {
    private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path(percentEncoded: false)

    @Test func thePackageIsFoundFromAnyFolderOfTheSourceTree() throws {
        let tree = root.hasSuffix("/") ? String(root.dropLast()) : root
        for folder in [tree, "\(tree)/Sources/adit", "\(tree)/.build/debug/adit"] {
            #expect(KernelLabPackage.find(above: ["/nowhere/at/all", folder]) == "\(tree)/IntegrationTests/natlab")
        }
    }

    @Test func elsewhereThereIsNone() {
        #expect(KernelLabPackage.find(above: ["/usr/bin/adit", "/", "relative/path"]) == nil)
    }

    @Test func theOwnPlacesAreFolders() {
        let places = KernelLabPackage.places()
        #expect(places.count == 2)
        #expect(places.allSatisfy { $0.hasPrefix("/") })
    }

    @Test func onlyWordsThatChangeTheKernelNeedRoot() {
        #expect(!KernelLabPackage.needsRoot(["--help"]))
        #expect(!KernelLabPackage.needsRoot(["wire", "-h"]))
        #expect(!KernelLabPackage.needsRoot(["rules", "A", "sym"]))
        #expect(KernelLabPackage.needsRoot(["up", "--a", "sym"]))
        #expect(KernelLabPackage.needsRoot(["--prefix", "x", "down"]))
    }

    @Test func everyWordGoesToTheLab() throws {
        let words = ["exec", "hA", "ping", "-c", "1", "--", "--help"]
        let command = try LabKernelCommand.parse(words)
        #expect(command.arguments == words)
        #expect(try LabKernelCommand.parse(["--help"]).arguments == ["--help"])
    }
}
