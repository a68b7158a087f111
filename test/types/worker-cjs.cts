// A worker module as CommonJS.
import wsbroker = require('wsbroker');

class Chat implements wsbroker.WorkerInterface {
  readonly members = new Set<number>();

  handleOpen(socketId: number): boolean {
    this.members.add(socketId);
    return wsbroker.subscribe(socketId, 'chat');
  }

  handleTextMessage(text: string): void {
    wsbroker.sendToChannel('chat', text);
  }

  handleClose(socketId: number): void {
    this.members.delete(socketId);
  }
}

wsbroker.registerWorkerThread(new Chat());

export = {
  handleOpen: () => false,
  handleTextMessage: (text) => text.length,
} satisfies wsbroker.WorkerInterface;
