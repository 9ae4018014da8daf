// SPDX-License-Identifier: Apache-2.0
//
// PosixFileSystem.swift
// The operating system's files. The only place of the store with system calls on files.

internal import Model
internal import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Files of the operating system.
package struct PosixFileSystem: FileSystem {
    /// The file system of the process.
    package init() {}

    package func open(_ path: String, _ mode: FileMode) throws(StoreError) -> any File {
        switch mode {
        case .read: return PosixFile(try descriptor("open", path, O_RDONLY | O_CLOEXEC), path, isDurable: false)
        case .update: return PosixFile(try descriptor("open", path, O_RDWR | O_CLOEXEC), path, isDurable: false)
        case .readWrite: return PosixFile(try descriptor("open", path, Self.create), path, isDurable: false)
        case .direct:
            // A file system without O_DIRECT refuses the flag; then the page cache and a flush do the same.
            if let file = try? descriptor("open", path, Self.create | Self.direct | O_DSYNC) {
                return PosixFile(file, path, isDurable: true)
            }
            return PosixFile(try descriptor("open", path, Self.create), path, isDurable: false)
        case .unbuffered:
            if let file = try? descriptor("open", path, O_RDWR | O_CLOEXEC | Self.direct) {
                return PosixFile(file, path, isDurable: false, isDirect: true)
            }
            return try open(path, .update)
        }
    }

    private static let create = O_RDWR | O_CREAT | O_CLOEXEC

    // The C library hides this flag unless GNU extensions are asked for, which Swift's module does not do.
    #if arch(arm64) || arch(arm)
        fileprivate static let direct: CInt = 0o200000
    #else
        fileprivate static let direct: CInt = 0o40000
    #endif

    package func exists(_ path: String) -> Bool {
        // The path is a null-terminated copy that lives for the call.
        unsafe access(path, F_OK) == 0
    }

    package func list(_ directory: String) throws(StoreError) -> [String] {
        // The stream is closed on every way out; entries are copied before the next call changes them.
        guard let stream = unsafe opendir(directory) else {
            if errno == ENOENT { return [] }
            throw failure("list", directory)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    package func makeDirectory(_ path: String) throws(StoreError) {
        if exists(path) { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]))
        }
        // The path lives for the call.
        guard unsafe mkdir(path, 0o750) == 0 || errno == EEXIST else { throw failure("make directory", path) }
    }

    package func rename(_ old: String, to new: String) throws(StoreError) {
        // Both paths live for the call.
        guard unsafe Glibc.rename(old, new) == 0 else { throw failure("rename", old) }
    }

    package func remove(_ path: String) throws(StoreError) {
        // The path lives for the call.
        guard unsafe Glibc.remove(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }

    package func syncDirectory(_ path: String) throws(StoreError) {
        let directory = try descriptor("open", path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { _ = close(directory) }
        guard fsync(directory) == 0 else { throw failure("sync", path) }
    }

    package func freeBytes(at path: String) throws(StoreError) -> Int {
        var status = statvfs()
        // Path and result live for the call.
        guard unsafe statvfs(path, &status) == 0 else { throw failure("measure", path) }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    package func lock(_ path: String) throws(StoreError) -> any FileLock {
        let file = try descriptor("lock", path, Self.create)
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            _ = close(file)
            throw code == EWOULDBLOCK ? .locked(path: path) : .file(operation: "lock", path: path, errno: code)
        }
        return PosixFileLock(file)
    }

    private func descriptor(_ operation: String, _ path: String, _ flags: CInt) throws(StoreError) -> CInt {
        // The path lives for the call.
        let file = unsafe Glibc.open(path, flags, 0o640)
        guard file >= 0 else { throw failure(operation, path) }
        return file
    }
}

/// The error that `errno` stands for now.
private func failure(_ operation: String, _ path: String) -> StoreError {
    .file(operation: operation, path: path, errno: errno)
}

private final class PosixFileLock: FileLock {
    private let file: CInt
    init(_ file: CInt) { self.file = file }
    deinit { _ = close(file) }
    func unlock() { _ = flock(file, LOCK_UN) }
}

private final class PosixFile: File {
    let path: String
    let writesAreDurable: Bool
    private let file: CInt
    private let isDirect: Bool

    init(_ file: CInt, _ path: String, isDurable: Bool, isDirect: Bool = false) {
        self.file = file
        self.path = path
        self.isDirect = isDirect
        writesAreDurable = isDurable
    }

    deinit { _ = close(file) }

    func read(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int {
        guard isDirect else { return try readBytes(count, at: position, into: &buffer) }
        return try readBlocks(count, at: position, into: &buffer)
    }

    /// Reads whole blocks into memory that is aligned as they are, and leaves what was asked for of them readable.
    private func readBlocks(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int {
        precondition(buffer.readableBytes == 0, "a read of blocks needs an empty buffer")
        let block = AlignedBuffer.alignment
        let lead = position % block
        let wanted = (lead + count + block - 1) / block * block
        buffer.clear(minimumCapacity: wanted + block)
        // Only the address is looked at.
        let gap = unsafe buffer.withUnsafeMutableWritableBytes { -Int(bitPattern: $0.baseAddress) & (block - 1) }
        buffer.moveWriterIndex(forwardBy: gap)
        buffer.moveReaderIndex(forwardBy: gap)
        let found = try readBytes(wanted, at: position - lead, into: &buffer)
        buffer.moveReaderIndex(forwardBy: min(lead, found))
        let readable = min(count, buffer.readableBytes)
        buffer.moveWriterIndex(to: buffer.readerIndex + readable)
        return readable
    }

    private func readBytes(_ count: Int, at position: Int, into buffer: inout ByteBuffer) throws(StoreError) -> Int {
        var done = 0
        var code: CInt = 0
        // The buffer offers at least `count` writable bytes for the duration of the closure.
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
            while done < count {
                let step = unsafe pread(
                    file, space.baseAddress?.advanced(by: done), count - done, off_t(position + done))
                if step < 0 && errno == EINTR { continue }
                if step < 0 && errno == EINVAL && stopDirect() { continue }
                if step < 0 { code = errno }
                if step <= 0 { break }
                done += step
                // Around the page cache only the end of the file ends inside a block.
                if isDirect && step % AlignedBuffer.alignment != 0 { break }
            }
            return done
        }
        guard code == 0 else { throw .file(operation: "read", path: path, errno: code) }
        return done
    }

    func write(_ bytes: RawSpan, at position: Int) throws(StoreError) {
        // The span's bytes stay where they are while the closure runs.
        let code: CInt = unsafe bytes.withUnsafeBytes { source in
            var done = 0
            while done < source.count {
                let step = unsafe pwrite(
                    file, source.baseAddress?.advanced(by: done), source.count - done, off_t(position + done))
                if step < 0 && errno == EINTR { continue }
                // Some file systems take O_DIRECT and refuse the first write with it: they get plain writes from then on.
                if step < 0 && errno == EINVAL && stopDirect() { continue }
                if step <= 0 { return step == 0 ? EIO : errno }
                done += step
            }
            return 0
        }
        guard code == 0 else { throw .file(operation: "write", path: path, errno: code) }
    }

    func write(_ pieces: [WritePiece], _ staging: borrowing AlignedBuffer, at position: Int) throws(StoreError) {
        let total = pieces.reduce(0) { $0 + $1.byteCount }
        var vectors = unsafe [iovec]()
        unsafe vectors.reserveCapacity(pieces.count)
        let code: CInt = staging.withBytes { bytes in
            // The staged bytes stay where they are while the closure runs.
            unsafe bytes.withUnsafeBytes { staged in
                unsafe gather(pieces[...], staged, &vectors) { vectors in
                    unsafe writeVectors(&vectors, total, at: position)
                }
            }
        }
        guard code == 0 else { throw .file(operation: "write", path: path, errno: code) }
    }

    /// Collects where the pieces are, nested so that all of them stay there while `body` runs.
    private func gather(
        _ pieces: ArraySlice<WritePiece>, _ staged: UnsafeRawBufferPointer, _ vectors: inout [iovec],
        _ body: (inout [iovec]) -> CInt
    ) -> CInt {
        switch pieces.first {
        case nil: return unsafe body(&vectors)
        case .staged(let range):
            // The system reads from the memory only.
            let start = unsafe UnsafeMutableRawPointer(mutating: staged.baseAddress?.advanced(by: range.lowerBound))
            unsafe vectors.append(iovec(iov_base: start, iov_len: range.count))
            return unsafe gather(pieces.dropFirst(), staged, &vectors, body)
        case .memory(let buffer):
            return unsafe buffer.withUnsafeReadableBytes { bytes in
                unsafe vectors.append(
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count))
                return unsafe gather(pieces.dropFirst(), staged, &vectors, body)
            }
        }
    }

    /// Writes all vectors; returns 0 or the error's number.
    private func writeVectors(_ vectors: inout [iovec], _ total: Int, at position: Int) -> CInt {
        var done = 0
        var next = 0
        while done < total {
            // The vectors point to memory that lives as long as the caller's closure.
            let step = unsafe vectors[next...].withUnsafeBufferPointer { rest in
                unsafe pwritev(file, rest.baseAddress, CInt(rest.count), off_t(position + done))
            }
            if step < 0 && errno == EINTR { continue }
            if step < 0 && errno == EINVAL && stopDirect() { continue }
            if step <= 0 { return step == 0 ? EIO : errno }
            done += step
            var rest = step
            while unsafe next < vectors.count && rest >= vectors[next].iov_len {
                rest -= unsafe vectors[next].iov_len
                next += 1
            }
            if rest > 0 {
                // Inside the vector: fewer bytes were written than it has.
                unsafe vectors[next].iov_base = vectors[next].iov_base?.advanced(by: rest)
                unsafe vectors[next].iov_len -= rest
            }
        }
        return 0
    }

    /// Takes the direct flag away; returns whether it was there.
    private func stopDirect() -> Bool {
        let flags = fcntl(file, F_GETFL)
        guard flags >= 0, flags & PosixFileSystem.direct != 0 else { return false }
        return fcntl(file, F_SETFL, flags & ~PosixFileSystem.direct) == 0
    }

    func flush() throws(StoreError) {
        guard fdatasync(file) == 0 else { throw failure("flush", path) }
    }

    func allocate(_ size: Int) throws(StoreError) {
        let length = try self.size()
        guard size > length else { return }
        let code = posix_fallocate(file, off_t(length), off_t(size - length))
        guard code == 0 else { throw .file(operation: "allocate", path: path, errno: code) }
    }

    func truncate(to size: Int) throws(StoreError) {
        guard ftruncate(file, off_t(size)) == 0 else { throw failure("truncate", path) }
    }

    func size() throws(StoreError) -> Int {
        var status = stat()
        // The result lives for the call.
        guard unsafe fstat(file, &status) == 0 else { throw failure("measure", path) }
        return Int(status.st_size)
    }
}
