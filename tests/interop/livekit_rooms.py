"""LiveKit's own library for back ends asks the room service.

    livekit_rooms.py URL KEY SECRET ROOM IDENTITY

IDENTITY is in ROOM and has a track. Prints, as JSON, what the library has read of the answers.
"""

import asyncio
import json
import sys

from livekit import api


async def refused(asking):
    try:
        await asking
    except api.TwirpError as error:
        return [error.code, error.message, error.status]
    return None


async def ask(url, key, secret, room, identity):
    async with api.LiveKitAPI(url, key, secret) as livekit:
        service = livekit.room
        made = await service.create_room(api.CreateRoomRequest(name="channel_7", empty_timeout=60, metadata="m"))
        rooms = await service.list_rooms(api.ListRoomsRequest(names=["channel_7", room]))
        there = await service.list_participants(api.ListParticipantsRequest(room=room))
        one = await service.get_participant(api.RoomParticipantIdentity(room=room, identity=identity))
        track = one.tracks[0]
        muted = await service.mute_published_track(
            api.MuteRoomTrackRequest(room=room, identity=identity, track_sid=track.sid, muted=True)
        )
        changed = await service.update_participant(
            api.UpdateParticipantRequest(room=room, identity=identity, name="Ben", attributes={"hand": "up"})
        )
        await service.send_data(api.SendDataRequest(room=room, data=b"hello", topic="chat"))
        await service.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))
        gone = await refused(service.get_participant(api.RoomParticipantIdentity(room=room, identity=identity)))
        await service.delete_room(api.DeleteRoomRequest(room="channel_7"))
        return {
            "made": [made.name, made.sid[:3], made.empty_timeout, made.metadata],
            "isDated": made.creation_time > 1_700_000_000,
            "rooms": sorted(found.name for found in rooms.rooms),
            "there": [found.identity for found in there.participants],
            "track": [track.sid[:3], track.type, track.source, track.muted],
            "muted": muted.track.muted,
            "changed": [changed.name, dict(changed.attributes), changed.state],
            "gone": gone,
        }


print(json.dumps(asyncio.run(ask(*sys.argv[1:]))))
