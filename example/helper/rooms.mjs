// Which rooms there are, and who may be in them.

export const rooms = [
  { name: 'lobby' },
  { name: 'kitchen' },
  { name: 'office', members: ['Ada', 'Grace'] },
];

export function mayJoin(userId, name) {
  const room = rooms.find((room) => room.name === name);
  return room !== undefined && (room.members === undefined || room.members.includes(userId));
}
