// SPDX-License-Identifier: Apache-2.0
//
// FileOutput.swift
// Standard output, error and input: the only file of this target that makes system calls.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why bytes could not be written or read.
public enum OutputError: Error, Equatable, Sendable {
    /// The reader of a pipe went away; the program should end quietly.
    case closed
    /// The system refused; its error number.
    case failed(errno: Int32)
}

/// An open file descriptor that text is written to.
///
/// May be used from any thread; each call is written as a whole.
public struct FileOutput: Sendable {
    private let descriptor: Int32

    /// Where results go.
    public static let standardOutput = FileOutput(descriptor: 1)
    /// Where progress and errors go.
    public static let standardError = FileOutput(descriptor: 2)

    /// Writes to a descriptor that somebody else opened.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Whether a person is likely to be looking.
    public var isTerminal: Bool { isatty(descriptor) == 1 }

    /// The width of the terminal, or 80 when it is unknown.
    public var columns: Int {
        var size = winsize()
        // The pointer lives only for the call, and the request fills exactly this structure.
        let result = unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size)
        return result == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    /// Writes all of `bytes`.
    public func write(_ bytes: [UInt8]) throws(OutputError) {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer -> Int in
                // The slice stays inside the array, which outlives the call.
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[written...])
                return unsafe systemWrite(descriptor, rest.baseAddress, rest.count)
            }
            if count >= 0 {
                written += count
            } else if errno == EPIPE {
                throw .closed
            } else if errno != EINTR && errno != EAGAIN {
                throw .failed(errno: errno)
            }
        }
    }

    /// Writes `text` as UTF-8.
    public func write(_ text: String) throws(OutputError) { try write(Array(text.utf8)) }
}

/// Reads a file descriptor in pieces.
public struct FileInput: Sendable {
    private let descriptor: Int32

    /// What is piped or typed in.
    public static let standardInput = FileInput(descriptor: 0)

    /// Reads from a descriptor that somebody else opened.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Opens a file for reading; it stays open until the process ends.
    public init(path: String) throws(OutputError) {
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .failed(errno: errno) }
    }

    /// Whether a person is likely to be typing.
    public var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Whether a read would return at once.
    public var isReady: Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // The pointer lives only for the call.
        return unsafe poll(&request, 1, 0) > 0
    }

    /// Blocks until bytes arrive and appends at most `limit` of them to `buffer`; false at the end of the input.
    public func read(into buffer: inout [UInt8], limit: Int) throws(OutputError) -> Bool {
        let start = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: limit))
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes -> Int in
                // The slice is the part appended above, inside the array, which outlives the call.
                let free = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
                return unsafe systemRead(descriptor, free.baseAddress, free.count)
            }
            if count < 0 && errno == EINTR { continue }
            buffer.removeLast(limit - max(0, count))
            if count < 0 { throw .failed(errno: errno) }
            return count > 0
        }
    }
}

/// The C function under a name that no method hides.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    // The caller passes a pointer to at least `count` readable bytes.
    guard let bytes = unsafe bytes else { return 0 }
    return unsafe write(descriptor, bytes, count)
}

/// The C function under a name that no method hides.
private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    // The caller passes a pointer to at least `count` writable bytes.
    guard let bytes = unsafe bytes else { return 0 }
    return unsafe read(descriptor, bytes, count)
}

/// What this process has used so far.
public struct ProcessUsage: Sendable {
    /// Processor time in user and system mode.
    public let cpuNanoseconds: UInt64
    /// The most resident memory it ever had.
    public let residentBytesMax: Int

    /// Reads the figures now.
    public static var current: ProcessUsage {
        var usage = rusage()
        // The pointer lives only for the call. 0 names the calling process in every C library.
        unsafe getrusage(0, &usage)
        func nanoseconds(_ time: timeval) -> UInt64 {
            UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1000
        }
        return ProcessUsage(
            cpuNanoseconds: nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
            residentBytesMax: usage.ru_maxrss << 10)
    }

    /// A variable of the environment this process was started with.
    public static func environmentVariable(_ name: String) -> String? {
        // The C string belongs to the environment, which this program never changes.
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }

    /// Ignores the signal that would end the program when the reader of a pipe goes away.
    public static func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }
}
