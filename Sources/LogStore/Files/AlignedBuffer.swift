// SPDX-License-Identifier: Apache-2.0
//
// AlignedBuffer.swift
// Memory that may be written around the page cache. Owned by one thread.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A fixed piece of memory aligned to ``alignment``, filled from the front.
///
/// Safe to use: every access is checked here.
@safe
package struct AlignedBuffer: ~Copyable {
    /// What disks and file systems ask of direct writes.
    static let alignment = 4096

    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    /// Takes `capacity` bytes, a multiple of ``alignment``.
    ///
    /// The system gives memory for them as they are filled.
    init(capacity: Int) {
        precondition(capacity > 0 && capacity % Self.alignment == 0, "\(capacity) is not a multiple of the alignment")
        // Owned by this value alone and freed in deinit with the same alignment.
        unsafe memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: Self.alignment)
    }

    deinit { unsafe memory.deallocate() }

    /// How many bytes fit.
    var capacity: Int { unsafe memory.count }
    /// How many bytes still fit.
    var room: Int { capacity - count }

    /// Empties the buffer.
    mutating func clear() { count = 0 }

    /// Appends `bytes`, which must fit.
    mutating func append(_ bytes: RawSpan) {
        precondition(count + bytes.byteCount <= capacity, "\(bytes.byteCount) bytes do not fit behind \(count)")
        unsafe bytes.withUnsafeBytes { source in
            // Both ranges were just checked; they cannot overlap because this value owns the destination.
            unsafe UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: source)
        }
        count += bytes.byteCount
    }

    /// Appends zeros up to the next multiple of `step`.
    mutating func pad(to step: Int) { pad(upTo: (count + step - 1) / step * step) }

    /// Appends zeros until `end` bytes are filled.
    mutating func pad(upTo end: Int) {
        precondition(end >= count && end <= capacity, "\(end) is not between \(count) and \(capacity)")
        // The range is inside the allocation.
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[count..<end]).initializeMemory(
            as: UInt8.self, repeating: 0)
        count = end
    }

    /// Replaces the bytes at `position`, which were appended before.
    mutating func replace(at position: Int, with bytes: RawSpan) {
        precondition(position + bytes.byteCount <= count, "nothing was appended at \(position)")
        unsafe bytes.withUnsafeBytes { source in
            // Inside the filled part.
            unsafe UnsafeMutableRawBufferPointer(rebasing: memory[position...]).copyMemory(from: source)
        }
    }

    /// Passes the filled part to `body`.
    borrowing func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // The span cannot outlive the call, and this value lives at least as long.
        try unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: memory[..<count])))
    }
}
