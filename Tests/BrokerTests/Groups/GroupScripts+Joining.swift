// SPDX-License-Identifier: Apache-2.0
//
// GroupScripts+Joining.swift
// Transcripts: who is let into a group, and under which id.

extension GroupScript {
    static let joining: [GroupScript] = [
        GroupScript(
            "a new member of version 4 is given an id first",
            """
            set delay=0
            join a v=4
              join a: memberIDRequired a.1
            join a v=4
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "a new member of version 3 is admitted at once",
            """
            joined a
            """),
        GroupScript(
            "a reserved id lapses after the session timeout",
            """
            join a
              join a: memberIDRequired a.1
            wait 9999
            wait 1
            join a
              join a: unknownMemberID
            """),
        GroupScript(
            "a reserved id that is used in time does not lapse",
            """
            set delay=0
            join a
              join a: memberIDRequired a.1
            wait 9999
            join a
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            wait 9999
            describe
              CompletingRebalance type=consumer protocol=
              a.1 metadata= assignment=
            """),
        GroupScript(
            "a reserved id cannot be used for anything else",
            """
            set delay=0
            join a
              join a: memberIDRequired a.1
            heartbeat a gen=0
              unknownMemberID
            sync a gen=0
              sync a: unknownMemberID
            """),
        GroupScript(
            "session timeouts have bounds",
            """
            join a session=5999
              join a: invalidSessionTimeout
            join a session=1800001
              join a: invalidSessionTimeout
            join a session=6000
              join a: memberIDRequired a.1
            """),
        GroupScript(
            "unknown member ids are refused",
            """
            set delay=0
            join a id=nobody-00000000-0000-4000-8000-000000000000
              join a: unknownMemberID
            join b v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join b: ok b.1 gen=1 range leader=b.1 [b.1:b]
            join a id=nobody-00000000-0000-4000-8000-000000000000
              join a: unknownMemberID
            """),
        GroupScript(
            "a member must bring protocols",
            """
            join a p=none
              join a: inconsistentGroupProtocol
            join a v=3 p=none
              join a: inconsistentGroupProtocol
            """),
        GroupScript(
            "protocol types must agree",
            """
            set delay=0
            join a v=3 type=consumer
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 type=connect
              join b: inconsistentGroupProtocol
            """),
        GroupScript(
            "some protocol must suit everyone",
            """
            set delay=0
            join a v=3 p=range,rr
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 p=sticky
              join b: inconsistentGroupProtocol
            join c v=3 p=sticky,rr
              PreparingRebalance gen=1
            """),
        GroupScript(
            "an emptied group takes another protocol type",
            """
            set delay=0
            join a v=3 type=consumer
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            leave a
              ok
              removed a.1: left
              PreparingRebalance gen=1
              Empty gen=2
              store gen=2 []
            join b v=3 type=connect
              PreparingRebalance gen=2
              CompletingRebalance gen=3
              join b: ok b.1 gen=3 range leader=b.1 [b.1:b]
            """),
        GroupScript(
            "a full group refuses new members",
            """
            set delay=0 max=1
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3
              join b: groupMaxSizeReached
            join b v=4
              join b: groupMaxSizeReached
            """),
        GroupScript(
            "a reserved id does not hold a place in a full group",
            """
            set delay=0 max=1
            join a
              join a: memberIDRequired a.1
            join b
              join b: memberIDRequired b.1
            join a
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b
              join b: groupMaxSizeReached
            """),
        GroupScript(
            "during a rebalance those who joined count, and who comes too late is out",
            """
            set delay=0 max=2
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join a
              PreparingRebalance gen=2
            join c v=3
            join b
              join b: groupMaxSizeReached
              removed b.1: groupFull
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a c.1:c]
              join c: ok c.1 gen=3 range leader=a.1
            """),
        GroupScript(
            "no rebalance timeout means the session timeout",
            """
            set delay=0
            join a v=3 rebalance=-1 session=6000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            wait 6000
              @6000 removed a.1: sessionExpired
              @6000 PreparingRebalance gen=1
              @6000 Empty gen=2
              @6000 store gen=2 []
            """),
        GroupScript(
            "the first rebalance waits for more members",
            """
            join a v=3
              PreparingRebalance gen=0
            wait 1000
            join b v=3
            wait 1999
            wait 1
            wait 3000
              @6000 CompletingRebalance gen=1
              @6000 join a: ok a.1 gen=1 range leader=a.1 [a.1:a b.1:b]
              @6000 join b: ok b.1 gen=1 range leader=a.1
            """),
        GroupScript(
            "the first rebalance is extended up to the rebalance timeout",
            """
            join a v=3 rebalance=7000
              PreparingRebalance gen=0
            wait 2000
            join b v=3
            wait 3000
            join c v=3
            wait 1999
            join d v=3
            wait 1
              @7000 CompletingRebalance gen=1
              @7000 join a: ok a.1 gen=1 range leader=a.1 [a.1:a b.1:b c.1:c d.1:d]
              @7000 join b: ok b.1 gen=1 range leader=a.1
              @7000 join c: ok c.1 gen=1 range leader=a.1
              @7000 join d: ok d.1 gen=1 range leader=a.1
            """),
        GroupScript(
            "the first rebalance of one member ends after the delay",
            """
            join a v=3
              PreparingRebalance gen=0
            wait 2999
            wait 1
              @3000 CompletingRebalance gen=1
              @3000 join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "the first rebalance does not wait longer than the rebalance timeout",
            """
            join a v=3 rebalance=1000
              PreparingRebalance gen=0
            wait 1000
              @1000 CompletingRebalance gen=1
              @1000 join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "the first rebalance does not wait for reserved ids",
            """
            join a v=3
              PreparingRebalance gen=0
            join b
              join b: memberIDRequired b.1
            wait 3000
              @3000 CompletingRebalance gen=1
              @3000 join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "who leaves during the first rebalance leaves an empty group",
            """
            join a v=3 session=6000
              PreparingRebalance gen=0
            gone join a
              removed a.1: disconnected
              Empty gen=1
              store gen=1 []
            describe
              Empty type=consumer protocol=
            """),
    ]
}
