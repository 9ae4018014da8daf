// SPDX-License-Identifier: Apache-2.0
//
// SmallFile.swift
// Reads the kernel's one-line files and writes log lines, without Foundation.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Reads small text files such as those under /proc.
enum SmallFile {
    /// The first 4 KiB of the file at `path`; nil when it cannot be read.
    static func read(_ path: String) -> String? {
        // The path is a C string for the call.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        // The array is exclusively ours during the call and the length is its own.
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe systemRead(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { return nil }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}

/// A file descriptor that log lines go to.
enum LogDescriptor {
    /// Whether a person looks at standard error.
    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Writes all of `line` to standard error; what cannot be written is lost, for there is nowhere to report it.
    static func writeToStandardError(_ line: String) {
        var line = line
        line.withUTF8 { bytes in
            var written = 0
            while written < bytes.count {
                // `written` never passes the end of the buffer, which lives for the whole closure.
                let count = unsafe write(STDERR_FILENO, bytes.baseAddress?.advanced(by: written), bytes.count - written)
                if count > 0 {
                    written += count
                } else if count == 0 || errno != EINTR {
                    return
                }
            }
        }
    }
}

/// The system call, under a name that `SmallFile.read` does not hide.
private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    // The caller owns `count` bytes at `bytes`.
    unsafe read(descriptor, bytes, count)
}
