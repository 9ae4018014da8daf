// SPDX-License-Identifier: Apache-2.0
//
// GroupScripts+Statics.swift
// Transcripts: static membership (KIP-345).

extension GroupScript {
    static let statics: [GroupScript] = [
        GroupScript(
            "a static member skips the id round trip",
            """
            set delay=0
            join a instance=i
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok i.1 gen=1 range leader=i.1 [i.1:a]
            """),
        GroupScript(
            "a restart within the session moves nothing",
            """
            joined a instance=i
            join b v=3
              PreparingRebalance gen=1
            join a instance=i
              CompletingRebalance gen=2
              join a: ok i.1 gen=2 range leader=i.1 [i.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=i.1
            sync a instance=i assign=a:x,b:y
              store gen=2 [i.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join b2 instance=j
              PreparingRebalance gen=2
            join b
            join a instance=i
              CompletingRebalance gen=3
              join a: ok i.1 gen=3 range leader=i.1 [i.1:a b.1:b j.1:b2]
              join b: ok b.1 gen=3 range leader=i.1
              join b2: ok j.1 gen=3 range leader=i.1
            sync a instance=i assign=a:x,b:y,b2:z
              store gen=3 [i.1:x b.1:y j.1:z]
              Stable gen=3
              sync a: ok [x]
            sync b
              sync b: ok [y]
            sync b2 instance=j
              sync b2: ok [z]
            join b2 id=- instance=j
              removed j.1: replaced
              store gen=3 [i.1:x b.1:y j.2:z]
              join b2: ok j.2 gen=3 range leader=i.1
            sync b2 instance=j
              sync b2: ok [z]
            heartbeat b
              ok
            describe
              Stable type=consumer protocol=range
              i.1 metadata=a assignment=x
              b.1 metadata=b assignment=y
              j.2 metadata=b2 assignment=z
            """),
        GroupScript(
            "a restarted leader below version 9 is told the old leader id",
            """
            stable a instance=i
            join a id=- instance=i
              removed i.1: replaced
              store gen=1 [i.2:x]
              join a: ok i.2 gen=1 range leader=i.1
            sync a instance=i
              sync a: ok [x]
            join a instance=i
              PreparingRebalance gen=1
              CompletingRebalance gen=2
              join a: ok i.2 gen=2 range leader=i.2 [i.2:a]
            """),
        GroupScript(
            "a restarted leader of version 9 skips the assignment",
            """
            stable a instance=i
            join a id=- instance=i v=9
              removed i.1: replaced
              store gen=1 [i.2:x]
              join a: ok i.2 gen=1 range leader=i.2 skip [i.2:a]
            sync a instance=i
              sync a: ok [x]
            """),
        GroupScript(
            "the new id is stored before it is told",
            """
            stable a instance=i
            hold
            join a id=- instance=i
              removed i.1: replaced
              store gen=1 [i.2:x]
            stored
              join a: ok i.2 gen=1 range leader=i.1
            """),
        GroupScript(
            "a replacement that cannot be stored is refused",
            """
            stable a instance=i
            hold
            join a id=- instance=i
              removed i.1: replaced
              store gen=1 [i.2:x]
            refused
              join a: coordinatorNotAvailable
            """),
        GroupScript(
            "of two replacements at once the later wins",
            """
            stable a instance=i
            hold
            join b id=- instance=i
              removed i.1: replaced
              store gen=1 [i.2:x]
            join c id=- instance=i
              join b: fencedInstanceID
              removed i.2: replaced
              store gen=1 [i.3:x]
            stored
              join c: ok i.3 gen=1 range leader=i.2
            heartbeat c instance=i gen=1
              ok
            """),
        GroupScript(
            "the replaced process is fenced",
            """
            stable a instance=i
            join b id=- instance=i
              removed i.1: replaced
              store gen=1 [i.2:x]
              join b: ok i.2 gen=1 range leader=i.1
            heartbeat a instance=i
              fencedInstanceID
            commit a instance=i
              fencedInstanceID
            sync a instance=i
              sync a: fencedInstanceID
            join a instance=i
              join a: fencedInstanceID
            leave a instance=i
              fencedInstanceID
            """),
        GroupScript(
            "an unknown instance is refused",
            """
            joined a instance=i
            heartbeat a instance=j
              unknownMemberID
            join a instance=j
              join a: unknownMemberID
            leave instance=j
              unknownMemberID
            """),
        GroupScript(
            "a replacement with another choice of protocol rebalances",
            """
            set delay=0
            join a instance=i p=range,rr
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok i.1 gen=1 range leader=i.1 [i.1:a]
            sync a instance=i assign=a:x
              store gen=1 [i.1:x]
              Stable gen=1
              sync a: ok [x]
            join a id=- instance=i p=rr
              removed i.1: replaced
              PreparingRebalance gen=1
              CompletingRebalance gen=2
              join a: ok i.2 gen=2 rr leader=i.2 [i.2:a]
            """),
        GroupScript(
            "a replacement in the sync phase rebalances",
            """
            joined a instance=i
            join b v=3
              PreparingRebalance gen=1
            join a instance=i
              CompletingRebalance gen=2
              join a: ok i.1 gen=2 range leader=i.1 [i.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=i.1
            sync b
            join a id=- instance=i
              removed i.1: replaced
              sync b: rebalanceInProgress
              PreparingRebalance gen=2
            join b
              CompletingRebalance gen=3
              join a: ok i.2 gen=3 range leader=i.2 [i.2:a b.1:b]
              join b: ok b.1 gen=3 range leader=i.2
            """),
        GroupScript(
            "a replacement in the join phase takes the place of the parked join",
            """
            stable a
            join b instance=i
              PreparingRebalance gen=1
            join c id=- instance=i
              join b: fencedInstanceID
              removed i.1: replaced
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a i.2:c]
              join c: ok i.2 gen=2 range leader=a.1
            """),
        GroupScript(
            "a silent static member survives a rebalance until its session ends",
            """
            set delay=0
            join a instance=i session=60000 rebalance=5000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok i.1 gen=1 range leader=i.1 [i.1:a]
            join b v=3 session=60000 rebalance=5000
              PreparingRebalance gen=1
            join a instance=i session=60000 rebalance=5000
              CompletingRebalance gen=2
              join a: ok i.1 gen=2 range leader=i.1 [i.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=i.1
            sync a instance=i assign=a:x,b:y
              store gen=2 [i.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join b p=range:new session=60000 rebalance=5000
              PreparingRebalance gen=2
            wait 5000
              @5000 CompletingRebalance gen=3
              @5000 join b: ok b.1 gen=3 range leader=b.1 [i.1:a b.1:new]
            sync b assign=a:x,b:y
              store gen=3 [i.1:x b.1:y]
              Stable gen=3
              sync b: ok [y]
            wait 54999
            heartbeat b
              ok
            wait 1
              @60000 removed i.1: sessionExpired
              @60000 PreparingRebalance gen=3
            """),
        GroupScript(
            "silent static members alone keep the join phase open",
            """
            set delay=0
            join a instance=i session=20000 rebalance=5000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok i.1 gen=1 range leader=i.1 [i.1:a]
            join b v=3 session=60000 rebalance=5000
              PreparingRebalance gen=1
            join a instance=i session=20000 rebalance=5000
              CompletingRebalance gen=2
              join a: ok i.1 gen=2 range leader=i.1 [i.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=i.1
            sync a instance=i assign=a:x,b:y
              store gen=2 [i.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            leave b
              ok
              removed b.1: left
              PreparingRebalance gen=2
            wait 5000
            wait 15000
              @20000 removed i.1: sessionExpired
              @20000 Empty gen=3
              @20000 store gen=3 []
            """),
        GroupScript(
            "a static member may leave by its instance id",
            """
            stable a instance=i
            leave instance=i
              ok
              removed i.1: left
              PreparingRebalance gen=1
              Empty gen=2
              store gen=2 []
            """),
        GroupScript(
            "static members come back after a failover",
            """
            stable a instance=i
            restart
              Stable gen=1
            join a id=- instance=i
              removed i.1: replaced
              store gen=1 [i.2:x]
              join a: ok i.2 gen=1 range leader=i.1
            sync a instance=i
              sync a: ok [x]
            """),
        GroupScript(
            "a restarted static member finds its place in a full group",
            """
            set delay=0 max=1
            join a instance=i
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok i.1 gen=1 range leader=i.1 [i.1:a]
            sync a instance=i assign=a:x
              store gen=1 [i.1:x]
              Stable gen=1
              sync a: ok [x]
            join a id=- instance=i
              removed i.1: replaced
              store gen=1 [i.2:x]
              join a: ok i.2 gen=1 range leader=i.1
            """),
        GroupScript(
            "a lost connection of a static member does not remove it",
            """
            stable a
            join b instance=i
              PreparingRebalance gen=1
            gone join b
            join b instance=i
              removed i.1: replaced
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a i.2:b]
              join b: ok i.2 gen=2 range leader=a.1
            """),
    ]
}
