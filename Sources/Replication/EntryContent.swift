// SPDX-License-Identifier: Apache-2.0
//
// EntryContent.swift
// What a proposal carries, before it has an index, and what the core keeps of an entry until it is durable.

public import LogStore
public import Model
public import NIOCore

/// What a data entry of any group carries.
///
/// On the leader as it was proposed; on a follower as the leader stored it. What goes to peers and to the log is taken
/// from the log or from the leader's message, never from here, so that every replica stores the same bytes.
public struct EntryContent: Sendable {
    /// Whether the bytes are record batches or a command of a state machine.
    public var kind: FrameKind
    /// The offset of the first record; for commands the offset does not move.
    public var baseOffset: Offset
    /// How many offsets the entry takes; 0 for commands.
    public var recordCount: Int32
    /// The newest timestamp of its records in milliseconds; -1 when it has none.
    public var maxTimestamp: Int64
    /// The bytes to store.
    public var payload: ByteBuffer
    /// The CRC-32C of the bytes, when it is known.
    public var checksum: UInt32?
    /// Whether its producers compressed the bytes already.
    public var isCompressed: Bool

    /// Describes an entry before it has an index.
    public init(
        kind: FrameKind, baseOffset: Offset, recordCount: Int32, maxTimestamp: Int64, payload: ByteBuffer,
        checksum: UInt32? = nil, isCompressed: Bool = false
    ) {
        self.kind = kind
        self.baseOffset = baseOffset
        self.recordCount = recordCount
        self.maxTimestamp = maxTimestamp
        self.payload = payload
        self.checksum = checksum
        self.isCompressed = isCompressed
    }

    /// The content of an entry that another replica stored.
    init(_ stored: StoredEntry) {
        self.init(
            kind: stored.kind, baseOffset: stored.baseOffset, recordCount: stored.recordCount,
            maxTimestamp: stored.maxTimestamp, payload: stored.payload, checksum: stored.checksum)
    }
}
