// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import ArgumentParser
import Glibc

/// `adit lab kernel`
struct LabKernelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernel",
        abstract: "NATs of every type, made by this computer's kernel (Linux, root, a checkout of Adit's source).",
        discussion: """
            The words after `kernel` go to IntegrationTests/natlab of the source tree, as does everything it prints.
            `adit lab kernel --help` lists its commands: up, set, rules, exec, wire, upnp, renumber, flush, show, down, \
            verify.
            """
    )

    @Argument(parsing: .captureForPassthrough, help: "A command of the kernel lab.")
    var arguments: [String] = []

    func run() throws {
        let words = arguments.isEmpty ? ["--help"] : arguments
        guard let package = KernelLabPackage.find(above: KernelLabPackage.places()) else { throw Self.notFound }
        if geteuid() != 0, KernelLabPackage.needsRoot(words) { throw Self.notRoot(words) }
        setenv("NATLAB_PROGRAM", "adit lab kernel", 1)
        throw Self.become(["python3", package] + words)
    }

    /// Makes this process Python: its streams, signals and exit status are the lab's. Comes back only when that fails.
    static func become(_ program: [String]) -> AditError {
        var pointers = program.map { strdup($0) } + [nil]
        execvp("python3", &pointers)
        for pointer in pointers { free(pointer) }
        return AditError(
            .usage,
            Text("the kernel lab needs Python 3, which is not here", zh: "内核实验室需要 Python 3，但此处没有"),
            fix: Text("apt-get install python3")
        )
    }

    static let notFound = AditError(
        .usage,
        Text("the kernel lab is part of Adit's source tree, which is not here", zh: "内核实验室属于 Adit 源码目录，但此处没有"),
        why: [
            Text(
                "neither this folder, nor that of the program, nor a folder above has \(KernelLabPackage.path)",
                zh: "当前目录、程序所在目录及其上级目录中都没有 \(KernelLabPackage.path)"
            )
        ],
        fix: Text("run it inside a checkout of Adit's source", zh: "请在 Adit 源码目录内运行")
    )

    private static func notRoot(_ words: [String]) -> AditError {
        needsRoot("sudo adit lab kernel \(words.joined(separator: " "))")
    }

    static func needsRoot(_ fix: String) -> AditError {
        AditError(
            .usage,
            Text("the kernel lab makes network namespaces, which needs root", zh: "内核实验室要创建网络命名空间，需要 root 权限"),
            fix: Text(verbatim: fix)
        )
    }
}
