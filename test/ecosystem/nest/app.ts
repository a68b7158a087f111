// A small application of Nest: a page, and two gateways with rooms.
import 'reflect-metadata';
import { threadId } from 'node:worker_threads';
import { Controller, Get, Injectable, Module, ParseIntPipe, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
  WsException,
} from '@nestjs/websockets';
import { interval, map, take } from 'rxjs';
import type { NestClient, NestServer } from '../../../lib/nest.cjs';
import { NestAdapter, type NestAdapterOptions } from '../../../lib/nest.mjs';

@Injectable()
class Names {
  readonly told: unknown[] = [];
  of(client: NestClient): string {
    return new URLSearchParams(client.request.query).get('name') ?? 'nobody';
  }
}

@WebSocketGateway({ path: '/chat' })
class ChatGateway implements OnGatewayInit, OnGatewayConnection, OnGatewayDisconnect {
  @WebSocketServer() server!: NestServer;
  constructor(private readonly names: Names) {}

  afterInit(server: NestServer) {
    this.names.told.push(['init', server.path]);
  }
  handleConnection(client: NestClient, request: { url: string }) {
    client.data['name'] = this.names.of(client);
    const room = new URLSearchParams(client.request.query).get('room');
    if (room) client.join(room);
    client.emit('welcome', { name: client.data['name'], url: request.url, threadId, here: this.server.clients.size });
  }
  handleDisconnect(client: NestClient, reason = '') {
    this.names.told.push(['left', client.data['name'], client.closeCode, reason, client.readyState, this.server.clients.size]);
    this.server.emit('left', client.data['name']);
  }

  @SubscribeMessage('join')
  join(@ConnectedSocket() client: NestClient, @MessageBody() room: string) {
    client.join(room);
    return { event: 'joined', data: room };
  }
  @SubscribeMessage('leave')
  leave(@ConnectedSocket() client: NestClient, @MessageBody() room: string) {
    client.leave(room);
    return { event: 'left room', data: room };
  }
  @SubscribeMessage('say')
  say(@ConnectedSocket() client: NestClient, @MessageBody() { room, text }: { room: string; text: string }) {
    client.to(room).emit('said', { from: client.data['name'], text });
  }
  @SubscribeMessage('shout')
  shout(@MessageBody() text: string) {
    this.server.emit('shouted', text);
  }
  @SubscribeMessage('others')
  others(@ConnectedSocket() client: NestClient, @MessageBody() text: string) {
    client.broadcast.emit('whispered', text);
  }
  @SubscribeMessage('later')
  async later(@MessageBody('text') text: string) {
    await new Promise((resolve) => setImmediate(resolve));
    return { event: 'later', data: text };
  }
  @SubscribeMessage('count')
  count(@MessageBody(ParseIntPipe) to: number) {
    return interval(1).pipe(take(to), map((i) => ({ event: 'count', data: i + 1 })));
  }
  @SubscribeMessage('fail')
  fail() {
    throw new WsException('on purpose');
  }
  @SubscribeMessage('told')
  told() {
    return { event: 'told', data: this.names.told };
  }
  @SubscribeMessage('die')
  die() {
    setImmediate(() => process.exit());
  }
}

@WebSocketGateway()
class RootGateway {
  @SubscribeMessage('where')
  where() {
    return { event: 'where', data: '/' };
  }
}

@Controller()
class Pages {
  @Get()
  page() {
    return 'a page';
  }
}

@Module({ controllers: [Pages], providers: [Names, ChatGateway, RootGateway] })
class AppModule {}

export async function createApp(options?: NestAdapterOptions): Promise<{ app: INestApplication; adapter: NestAdapter }> {
  const app = await NestFactory.create(AppModule, { logger: ['error'] });
  const adapter = new NestAdapter(options);
  app.useWebSocketAdapter(adapter);
  await app.init();
  return { app, adapter };
}

/** What is wrong in this gateway, Nest finds when the application begins. */
export async function failing(options: { port?: number; namespace?: string }): Promise<string> {
  @WebSocketGateway(options.port ?? 0, options.namespace === undefined ? {} : { namespace: options.namespace })
  class Wrong {}
  @Module({ providers: [Wrong] })
  class WrongModule {}
  const app = await NestFactory.create(WrongModule, { logger: false, abortOnError: false });
  app.useWebSocketAdapter(new NestAdapter());
  try {
    await app.init();
    return 'nothing';
  } catch (error) {
    return String((error as Error).message);
  }
}
